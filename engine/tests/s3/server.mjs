// An S3 server on a free port with an empty bucket `ward`; says its address, and ends with its standard input.
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const require = createRequire(join(process.argv[2], "package.json"));
const S3rver = require("s3rver");
const directory = mkdtempSync(join(tmpdir(), "ward-s3-"));
const server = new S3rver({
    address: "127.0.0.1",
    port: 0,
    silent: true,
    directory,
    configureBuckets: [{ name: "ward" }],
});
const { port } = await server.run();
console.log(JSON.stringify({ endpoint: `http://127.0.0.1:${port}` }));
process.stdin.resume();
process.stdin.on("end", () => {
    rmSync(directory, { recursive: true, force: true });
    process.exit(0);
});
