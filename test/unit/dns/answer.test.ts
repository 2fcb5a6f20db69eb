import t from "tap"
import { answer, reversed } from "../../../dns/answer.ts"
import type { Answer, NamePolicy } from "../../../dns/answer.ts"
import { readQuery } from "../../../dns/message.ts"
import type { Address } from "../../../net/address.ts"
import { parseHostname } from "../../../net/hostname.ts"
import type { Hostname } from "../../../net/hostname.ts"
import { ip, question } from "./messages.ts"
import type { Asked } from "./messages.ts"

const hosts = (...names: string[]): Hostname[] => names.flatMap((name) => parseHostname(name) ?? [])

const policy: NamePolicy = {
  mode: "block",
  nameVerdict: (name) =>
    name === "allowed.test"
      ? { decision: "allow", reason: "allowed-by-rule", rule: null }
      : { decision: "deny", reason: "name-not-allowed", rule: null },
  spend: () => true,
  isSpecial: (address: Address) => address.startsWith("10."),
  namesOf: (address: Address) =>
    /^(192\.0\.2\.1|10\.0\.0\.2)$/.test(address) ? hosts("allowed.test") : [],
  locals: new Map(hosts("builder").map((name) => [name, [ip("127.0.1.1")]])),
}

function answered(asked: Asked, over: Partial<NamePolicy> = {}): Answer {
  const query = readQuery(question(asked))
  if ("rcode" in query) throw new Error("no question")
  return answer({ ...policy, ...over }, query)
}

const short = (made: Answer): string =>
  [
    made.kind,
    made.judged.verdict,
    made.judged.reason,
    "rcode" in made ? made.rcode : "-",
    made.judged.enforced ? "" : "not enforced",
  ]
    .join(" ")
    .trim()

const table: [string, Asked, string, string][] = [
  ["an allowed name", {}, "forward allow allowed-by-rule -", ""],
  ["in capitals", { name: "ALLOWED.Test" }, "forward allow allowed-by-rule -", ""],
  ["AAAA", { type: 28 }, "forward allow allowed-by-rule -", ""],
  ["TXT", { type: 16 }, "forward allow allowed-by-rule -", ""],
  ["SRV", { type: 33 }, "forward allow allowed-by-rule -", ""],
  ["HTTPS", { type: 65 }, "reply allow allowed-by-rule 0", ""],
  ["SVCB", { type: 64 }, "reply allow allowed-by-rule 0", ""],
  [
    "NULL",
    { type: 10 },
    "refuse deny query-type-refused 0",
    "forward deny query-type-refused - not enforced",
  ],
  [
    "ANY",
    { type: 255 },
    "refuse deny query-type-refused 0",
    "forward deny query-type-refused - not enforced",
  ],
  ["AXFR", { type: 252 }, "refuse deny query-type-refused 0", ""],
  ["OPT", { type: 41 }, "refuse deny query-type-refused 0", ""],
  ["CHAOS", { class: 3 }, "refuse deny query-type-refused 5", ""],
  ["the root", { name: "", type: 2 }, "refuse deny name-not-allowed 5", ""],
  [
    "another name",
    { name: "evil.test" },
    "refuse deny name-not-allowed 3",
    "forward deny name-not-allowed - not enforced",
  ],
  [
    "an allowed name as prefix",
    { name: "allowed.test.evil.test" },
    "refuse deny name-not-allowed 3",
    "forward deny name-not-allowed - not enforced",
  ],
  [
    "an allowed name as ending",
    { name: "evilallowed.test" },
    "refuse deny name-not-allowed 3",
    "forward deny name-not-allowed - not enforced",
  ],
  [
    "HTTPS of another name",
    { name: "evil.test", type: 65 },
    "refuse deny name-not-allowed 3",
    "reply deny name-not-allowed 0 not enforced",
  ],
  [
    "a dot in a label",
    { name: Buffer.from("\x0cevil.allowed\x04test\0") },
    "refuse deny malformed 3",
    "",
  ],
  ["localhost", { name: "localhost" }, "reply allow infrastructure 0", ""],
  ["below localhost", { name: "a.localhost" }, "reply allow infrastructure 0", ""],
  ["the own name", { name: "builder" }, "reply allow infrastructure 0", ""],
  [
    "a private address",
    { name: "1.0.0.10.in-addr.arpa", type: 12 },
    "reply allow infrastructure 3",
    "",
  ],
  [
    "a private address of an allowed name",
    { name: "2.0.0.10.in-addr.arpa", type: 12 },
    "forward allow allowed-by-rule -",
    "",
  ],
  [
    "an address of an allowed name",
    { name: "1.2.0.192.in-addr.arpa", type: 12 },
    "forward allow allowed-by-rule -",
    "",
  ],
  [
    "an address of nobody",
    { name: "2.2.0.192.in-addr.arpa", type: 12 },
    "refuse deny name-not-allowed 3",
    "forward deny name-not-allowed - not enforced",
  ],
]

void t.test("answer() decides in block mode and rehearses it in audit mode", async (t) => {
  for (const [name, asked, block, audit] of table) {
    t.equal(short(answered(asked)), block, name)
    t.equal(
      short(answered(asked, { mode: "audit" })),
      audit === "" ? block : audit,
      `${name} (audit)`,
    )
  }
})

void t.test("answer() gives local names their addresses, by family", async (t) => {
  const addresses = (asked: Asked): readonly string[] => {
    const made = answered(asked)
    return made.kind === "reply" ? made.addresses : ["none"]
  }
  t.same(addresses({ name: "localhost" }), ["127.0.0.1"])
  t.same(addresses({ name: "localhost", type: 28 }), ["::1"])
  t.same(addresses({ name: "localhost", type: 15 }), [])
  t.same(addresses({ name: "builder" }), ["127.0.1.1"])
  t.same(addresses({ name: "builder", type: 28 }), [])
})

void t.test("answer() refuses names that the budget does not pay for", async (t) => {
  t.equal(short(answered({}, { spend: () => false })), "refuse deny name-budget-exceeded 3")
  t.equal(
    short(answered({}, { spend: () => false, mode: "audit" })),
    "forward deny name-budget-exceeded - not enforced",
  )
})

void t.test("reversed() reads the address that a reverse name spells", async (t) => {
  const nibbles = `1.${"0.".repeat(23)}8.b.d.0.1.0.0.2.ip6.arpa`
  const names: [string, string | null][] = [
    ["1.2.0.192.in-addr.arpa", "192.0.2.1"],
    [nibbles, "2001:db8::1"],
    ["2.0.192.in-addr.arpa", null],
    ["x.2.0.192.in-addr.arpa", null],
    ["1.ip6.arpa", null],
    ["allowed.test", null],
  ]
  for (const [name, address] of names) {
    t.equal(reversed(parseHostname(name) ?? ("" as Hostname)), address, name)
  }
})
