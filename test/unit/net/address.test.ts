import t from "tap"
import { fc } from "../../property.ts"
import { isIP, BlockList } from "node:net"
import {
  addressBytes,
  addressFromBytes,
  addressOfSocket,
  contains,
  isIPv6,
  parseAddress,
  parsePrefix,
  prefixOf,
  printPrefix,
  unmap,
} from "../../../net/address.ts"
import type { Address } from "../../../net/address.ts"
import { parseEndpoint, parsePort, printEndpoint } from "../../../net/endpoint.ts"

const at = (text: string): Address => {
  const address = parseAddress(text)
  if (address === null) throw new Error(text)
  return address
}

void t.test("parseAddress() gives the canonical text", async (t) => {
  const table: [string, string | null][] = [
    ["192.0.2.1", "192.0.2.1"],
    ["0.0.0.0", "0.0.0.0"],
    ["255.255.255.255", "255.255.255.255"],
    ["256.0.0.1", null],
    ["01.2.3.4", null],
    ["00.2.3.4", null],
    ["1.2.3", null],
    ["1.2.3.", null],
    ["1.2.3.4.", null],
    ["1..3.4", null],
    [".1.2.3", null],
    ["127.1", null],
    ["2130706433", null],
    ["0x7f.0.0.1", null],
    [" 1.2.3.4", null],
    ["1.2.3.4\n", null],
    ["", null],
    ["2001:DB8:0:0:0:0:0:1", "2001:db8::1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["::", "::"],
    ["::1", "::1"],
    ["1::", "1::"],
    ["0:0:0:0:0:ffff:c000:201", "::ffff:192.0.2.1"],
    ["::ffff:192.0.2.1", "::ffff:192.0.2.1"],
    ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
    ["fe80::1%eth0", null],
    ["1:2:3:4:5:6:7", null],
    ["1:2:3:4:5:6:7:8:9", null],
    ["1:2:3:4:5:6:7::8", null],
    ["1::2::3", null],
    [":::", null],
    [":1::", null],
    ["12345::", null],
    ["::1.2.3.4:5", null],
    ["1.2.3.4::", null],
    ["g::", null],
    ["[::1]", null],
  ]
  for (const [text, wanted] of table) t.equal(parseAddress(text), wanted, JSON.stringify(text))
})

void t.test("parseAddress() takes what Node takes, and gives back its bytes", async (t) => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), fc.string({ maxLength: 12 })), (text) => {
      const address = parseAddress(text)
      if ((address !== null) !== (isIP(text) !== 0)) return false
      if (address === null) return true
      return (
        addressFromBytes(addressBytes(address)) === address && parseAddress(address) === address
      )
    }),
  )
  t.equal(addressFromBytes(new Uint8Array(5)), null)
})

void t.test("addressOfSocket() strips a zone and unmaps", async (t) => {
  t.equal(addressOfSocket("::ffff:192.0.2.1"), "192.0.2.1")
  t.equal(addressOfSocket("fe80::1%veth0"), "fe80::1")
  t.equal(addressOfSocket("192.0.2.1"), "192.0.2.1")
  t.equal(addressOfSocket(undefined), null)
  t.equal(addressOfSocket("socket"), null)
  t.equal(unmap(at("::ffff:10.0.0.1")), "10.0.0.1")
  t.equal(unmap(at("::fffe:a00:1")), "::fffe:a00:1")
  t.equal(unmap(at("64:ff9b::a00:1")), "64:ff9b::a00:1")
})

void t.test("parsePrefix() refuses host bits and reads mapped blocks as IPv4", async (t) => {
  const table: [string, string | null][] = [
    ["10.0.0.0/8", "10.0.0.0/8"],
    ["10.0.0.1/8", null],
    ["10.0.0.1", "10.0.0.1"],
    ["10.0.0.1/32", "10.0.0.1"],
    ["0.0.0.0/0", "0.0.0.0/0"],
    ["10.0.0.0/33", null],
    ["10.0.0.0/08", null],
    ["10.0.0.0/", null],
    ["10.0.0.0/8/8", null],
    ["::/0", "::/0"],
    ["2001:db8::/33", "2001:db8::/33"],
    ["2001:db8:8000::/33", "2001:db8:8000::/33"],
    ["2001:db8:4000::/33", null],
    ["::ffff:10.0.0.0/104", "10.0.0.0/8"],
    ["::ffff:10.0.0.1", "10.0.0.1"],
    ["::/129", null],
    ["example.com/8", null],
  ]
  for (const [text, wanted] of table) {
    const prefix = parsePrefix(text)
    t.equal(prefix === null ? null : printPrefix(prefix), wanted, text)
  }
  t.same(prefixOf(at("10.1.2.3"), 24), { address: "10.1.2.0", length: 24 })
})

void t.test("contains() agrees with Node's block list", async (t) => {
  const bytes = fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4, max: 3 }),
    fc.uint8Array({ minLength: 16, maxLength: 16, max: 1 }),
  )
  fc.assert(
    fc.property(bytes, bytes, fc.nat(128), (one, other, length) => {
      const base = addressFromBytes(one)
      const address = addressFromBytes(other)
      if (base === null || address === null) return false
      const prefix = prefixOf(base, Math.min(length, one.length * 8))
      const list = new BlockList()
      list.addSubnet(prefix.address, prefix.length, isIPv6(base) ? "ipv6" : "ipv4")
      const listed =
        isIPv6(base) === isIPv6(address) && list.check(address, isIPv6(address) ? "ipv6" : "ipv4")
      return contains(prefix, address) === listed
    }),
  )
  t.pass()
})

void t.test("parseEndpoint() wants brackets around IPv6 where a port follows", async (t) => {
  const table: [string, number | null, string | null][] = [
    ["192.0.2.1:443", null, "192.0.2.1:443"],
    ["192.0.2.1", null, null],
    ["192.0.2.1", 53, "192.0.2.1:53"],
    ["[2001:db8::1]:53", null, "[2001:db8::1]:53"],
    ["2001:db8::1", 53, "[2001:db8::1]:53"],
    ["[2001:db8::1]", 53, "[2001:db8::1]:53"],
    ["[192.0.2.1]:53", null, null],
    ["192.0.2.1:65536", null, null],
    ["192.0.2.1:053", null, null],
    ["192.0.2.1:", 53, null],
    ["example.com:53", 53, null],
  ]
  for (const [text, port, wanted] of table) {
    const endpoint = parseEndpoint(text, port)
    t.equal(endpoint === null ? null : printEndpoint(endpoint), wanted, text)
  }
  t.equal(parsePort("65535"), 65535)
  t.equal(parsePort("-1"), null)
})
