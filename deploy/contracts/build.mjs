// Compiles the contracts and writes their artifacts, or with --check compares the artifacts with what the compiler makes.
// Called by build.sh, which installs the compiler; NODE_PATH-like lookup is by the folder in argv[2].
import { createRequire } from "node:module";
import { readFileSync, writeFileSync, mkdirSync, existsSync } from "node:fs";
import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const [tools, mode] = process.argv.slice(2);
const solc = createRequire(join(tools, "package.json"))("solc");

// Contract, what its artifact's interface is taken from, its file, the rules of the oldest chain that it runs on.
const contracts = [
  { name: "AnchorLog", file: "AnchorLog.sol", evmVersion: "paris" },
  { name: "AttestationRegistryDeployment", face: "AttestationRegistry", file: "AttestationRegistry.sol", evmVersion: "prague" },
];

function compile(file, evmVersion) {
  const input = {
    language: "Solidity",
    sources: { [file]: { content: readFileSync(join(here, file), "utf8") } },
    settings: {
      evmVersion,
      viaIR: false,
      optimizer: { enabled: true, runs: 1000000 },
      // No hash of the metadata in the code: the same code from any folder, and a key at its very end.
      metadata: { bytecodeHash: "none", appendCBOR: false },
      outputSelection: { "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"] } },
    },
  };
  const read = (path) => ({ contents: readFileSync(join(here, path), "utf8") });
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: read }));
  const said = output.errors ?? [];
  for (const { formattedMessage } of said) console.error(formattedMessage);
  if (said.length > 0) throw new Error(`${file}: the compiler has something to say`);
  return { settings: input.settings, sources: output.contracts };
}

let stale = false;
for (const { name, face, file, evmVersion } of contracts) {
  const { settings, sources } = compile(file, evmVersion);
  const { outputSelection, ...kept } = settings;
  const made = sources[file];
  const artifact = {
    contract: face ?? name,
    compiler: solc.version(),
    settings: kept,
    abi: made[face ?? name].abi,
    constructor: made[name].abi.find((entry) => entry.type === "constructor") ?? null,
    errors: face ? made[name].abi.filter((entry) => entry.type === "error") : [],
    bytecode: "0x" + made[name].evm.bytecode.object,
  };
  const text = JSON.stringify(artifact, null, 1) + "\n";
  const path = join(here, "artifacts", `${artifact.contract}.json`);
  const runtime = made[face ?? name].evm.deployedBytecode.object.length / 2;
  const sha = createHash("sha256").update(artifact.bytecode).digest("hex").slice(0, 16);
  console.log(`${artifact.contract}: ${runtime} bytes of code, deployment code sha256 ${sha}`);
  if (mode === "--check") {
    if (!existsSync(path) || readFileSync(path, "utf8") !== text) {
      console.error(`${path} is not what the compiler makes: run deploy/contracts/build.sh`);
      stale = true;
    }
  } else {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
}
process.exit(stale ? 1 : 0);
