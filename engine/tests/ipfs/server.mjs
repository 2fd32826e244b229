// An IPFS node (js-ipfs) of its own, without a network, with its RPC on a free port; says its address, and ends with its
// standard input.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

// Packages below it expect this of newer versions of node.
Promise.withResolvers ??= () => {
    let resolve, reject;
    const promise = new Promise((done, failed) => ([resolve, reject] = [done, failed]));
    return { promise, resolve, reject };
};

const tools = process.argv[2];
const load = (name) => import(pathToFileURL(join(tools, "node_modules", name, "src/index.js")).href);
const { create } = await load("ipfs-core");
const { HttpApi } = await load("ipfs-http-server");

const repo = mkdtempSync(join(tmpdir(), "ward-ipfs-"));
const node = await create({
    repo,
    offline: true,
    silent: true,
    init: { emptyRepo: true, algorithm: "Ed25519" },
    config: {
        Addresses: { Swarm: [], API: "/ip4/127.0.0.1/tcp/0", Gateway: "/ip4/127.0.0.1/tcp/0" },
        Bootstrap: [],
        Discovery: { MDNS: { Enabled: false } },
    },
});
const api = new HttpApi(node);
await api.start();
console.log(JSON.stringify({ api: api._apiServers[0].info.uri }));
process.stdin.resume();
process.stdin.on("end", () => {
    rmSync(repo, { recursive: true, force: true });
    process.exit(0);
});
