import t from "tap"
import { parseAddress } from "../../../net/address.ts"
import {
  classify,
  embedded,
  isSpecial,
  parseSpecialRanges,
  specialRanges,
  specialRangesText,
} from "../../../net/special.ts"
import type { Address } from "../../../net/address.ts"

const at = (text: string): Address => {
  const address = parseAddress(text)
  if (address === null) throw new Error(text)
  return address
}

void t.test("classify() knows each kind", async (t) => {
  const table: [string, string][] = [
    ["8.8.8.8", "public"],
    ["192.0.2.1", "public"],
    ["198.51.100.1", "public"],
    ["203.0.113.1", "public"],
    ["2001:db8::1", "public"],
    ["3fff::1", "public"],
    ["2606:4700::1111", "public"],
    ["10.1.2.3", "private"],
    ["172.15.255.255", "public"],
    ["172.16.0.0", "private"],
    ["172.31.255.255", "private"],
    ["172.32.0.0", "public"],
    ["192.168.0.1", "private"],
    ["100.64.0.1", "shared"],
    ["100.128.0.0", "public"],
    ["100.100.100.200", "metadata"],
    ["169.254.169.254", "metadata"],
    ["169.254.1.1", "link-local"],
    ["168.63.129.16", "metadata"],
    ["168.63.129.17", "public"],
    ["127.8.9.10", "loopback"],
    ["0.0.0.0", "unspecified"],
    ["0.1.2.3", "unspecified"],
    ["224.0.0.251", "multicast"],
    ["240.0.0.1", "reserved"],
    ["255.255.255.255", "broadcast"],
    ["198.18.0.1", "reserved"],
    ["::", "unspecified"],
    ["::1", "loopback"],
    ["fd00:ec2::254", "metadata"],
    ["fd12:3456::1", "private"],
    ["fec0::1", "private"],
    ["fe80::1", "link-local"],
    ["ff02::fb", "multicast"],
    ["4000::1", "reserved"],
    ["2001:20::1", "reserved"],
  ]
  for (const [text, wanted] of table) t.equal(classify(at(text)), wanted, text)
})

void t.test("classify() judges an IPv6 address by the IPv4 address that it carries", async (t) => {
  const table: [string, string][] = [
    ["::ffff:10.0.0.1", "private"],
    ["::ffff:169.254.169.254", "metadata"],
    ["::ffff:8.8.8.8", "public"],
    ["64:ff9b::10.0.0.1", "private"],
    ["64:ff9b::8.8.8.8", "public"],
    ["64:ff9b:1::127.0.0.1", "loopback"],
    ["64:ff9b:1:a9fe:a9:fe00::", "metadata"],
    ["64:ff9b:1::8.8.8.8", "public"],
    ["2002:7f00:1::", "loopback"],
    ["2002:808:808::1", "public"],
    ["2001:0:808:808::f5ff:fffe", "private"],
    ["2001:0:808:808::f7f7:f7f7", "public"],
    ["2001:0:a00:1::f7f7:f7f7", "private"],
    ["::169.254.169.254", "metadata"],
    ["::8.8.8.8", "reserved"],
  ]
  for (const [text, wanted] of table) t.equal(classify(at(text)), wanted, text)
  t.same(embedded(at("64:ff9b::8.8.8.8")), ["8.8.8.8"])
  t.same(embedded(at("8.8.8.8")), [])
})

void t.test("parseSpecialRanges() reads a table that replaces the built-in one", async (t) => {
  const table = parseSpecialRanges(
    "0.0.0.0/0 public # all\n\n  10.1.0.0/16 private\n198.51.100.0/24 metadata\n",
  )
  if ("problem" in table) throw new Error(table.problem)
  t.equal(isSpecial(at("10.0.0.1"), table), false)
  t.equal(isSpecial(at("10.1.0.1"), table), true)
  t.equal(classify(at("::ffff:198.51.100.1"), table), "metadata")
  t.equal(classify(at("2001:db8::1"), table), "reserved")
  t.same(JSON.parse(JSON.stringify(table)), table)
  t.same(parseSpecialRanges(specialRangesText), specialRanges)
  for (const bad of ["10.0.0.1/8 private", "10.0.0.0/8", "10.0.0.0/8 mine", "::/0 public x"]) {
    t.match(parseSpecialRanges(`\n${bad}`), { problem: /line 2/ }, bad)
  }
})
