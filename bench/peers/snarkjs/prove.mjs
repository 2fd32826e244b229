// snarkjs on the variables and the key that `zk export` wrote: proves, verifies, prints milliseconds.
// node prove.mjs FOLDER.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as snarkjs from "snarkjs";

const folder = process.argv[2];
const at = (name) => join(folder, name);

const verifyingKey = await snarkjs.zKey.exportVerificationKey(at("eligibility.zkey"));
writeFileSync(at("verification.json"), JSON.stringify(verifyingKey));

async function least(times, run) {
  let [wall, cpu] = [Infinity, Infinity];
  let value;
  for (let i = 0; i < times; i++) {
    const [begun, used] = [performance.now(), process.cpuUsage()];
    value = await run();
    const spent = process.cpuUsage(used);
    wall = Math.min(wall, performance.now() - begun);
    cpu = Math.min(cpu, (spent.user + spent.system) / 1e3);
  }
  return [value, wall, cpu];
}
const print = (what, wall, cpu) =>
  console.log(`${what.padEnd(36)} ${wall.toFixed(1).padStart(10)} ms wall ${cpu.toFixed(1).padStart(10)} ms CPU`);

const [zkey, wtns] = [readFileSync(at("eligibility.zkey")), readFileSync(at("eligibility.wtns"))];
const file = (data) => ({ type: "mem", data: new Uint8Array(data) });
const [made, wall, cpu] = await least(5, () => snarkjs.groth16.prove(file(zkey), file(wtns)));
print("prove, snarkjs", wall, cpu);
const check = () => snarkjs.groth16.verify(verifyingKey, made.publicSignals, made.proof);
if (!(await check())) throw new Error("the proof does not hold");
print("verify, snarkjs", ...(await least(5, check)).slice(1));
process.exit(0);
