// Makes a key pair, writes its public key to the file named, and prints a token with Kazoo's claims.
import { writeFileSync } from "node:fs";
import { SignJWT, exportSPKI, generateKeyPair } from "jose";

const [file, kid, accountId, algorithm] = process.argv.slice(2);
const { publicKey, privateKey } = await generateKeyPair(algorithm);
writeFileSync(file, await exportSPKI(publicKey));
const claims = { iss: "kazoo", account_id: accountId, owner_id: "0f".repeat(16), identity_sig: "c2lnbmF0dXJl" };
const token = new SignJWT(claims).setProtectedHeader({ alg: algorithm, typ: "JWT", kid }).setExpirationTime("1h");
console.log(await token.sign(privateKey));
