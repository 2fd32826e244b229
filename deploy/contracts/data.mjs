// Prints the data of the transaction that deploys a contract, as 0x and hexadecimal.
//
//   node data.mjs AnchorLog 0xADMIN 0xANCHORER
//   node data.mjs AttestationRegistry KEY.hex       the verifying key as EIP-2537 encodes its points: alpha, beta, gamma,
//                                                   delta, then those of the inputs; one line of hexadecimal
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const [contract, ...values] = process.argv.slice(2);
const refuse = (why) => {
  console.error(why);
  process.exit(2);
};
const address = (text) => {
  if (!/^0x[0-9a-fA-F]{40}$/.test(text ?? "")) refuse(`not an address: ${text}`);
  return text.slice(2).toLowerCase().padStart(64, "0");
};
const bytes = (hex) => {
  if (!/^([0-9a-fA-F]{2})+$/.test(hex)) refuse("the key is not hexadecimal");
  const word = (number) => number.toString(16).padStart(64, "0");
  return word(32) + word(hex.length / 2) + hex.padEnd(Math.ceil(hex.length / 64) * 64, "0");
};
const parameters = {
  AnchorLog: () => address(values[0]) + address(values[1]),
  AttestationRegistry: () => bytes(readFileSync(values[0] ?? refuse("name the key's file"), "utf8").trim().replace(/^0x/, "")),
};
if (!parameters[contract]) refuse("name AnchorLog or AttestationRegistry");
const here = dirname(fileURLToPath(import.meta.url));
const { bytecode } = JSON.parse(readFileSync(join(here, "artifacts", `${contract}.json`), "utf8"));
console.log(bytecode + parameters[contract]());
