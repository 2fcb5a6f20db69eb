import { labFor, guarded } from "./harness.ts"
import t from "tap"
const lab = await labFor(t)
const r = await guarded(lab, { mode: "block", allow: ["allowed.test"] }, ["sh","-c","cat /etc/resolv.conf; dig +tries=1 +time=1 +short allowed.test; dig +tries=1 +time=1 +short @203.0.113.53 allowed.test;cat /proc/net/udp /proc/net/udp6; ip addr; ip route"])
console.log(r.stdout, r.stderr)
