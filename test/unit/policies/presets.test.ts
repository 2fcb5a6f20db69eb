import t from "tap"
import { expandPreset, parsePreset } from "../../../policies/presets.ts"
import type { Configured, ConfiguredPlace } from "../../../policies/presets.ts"

const text = `about: A manager.
manager: tool
allow:
  - to: files.example.com
    default-of: index
    why: files
    source: https://docs.example.com/files
  - to: index.example.com
    default-of: index
    why: the index
    source: https://docs.example.com/index
  - to: https://always.example.com/**
    by: tool
    wide: true
    why: always
    source: https://docs.example.com/always
`
const preset = parsePreset("tool", text)

const place: ConfiguredPlace = {
  setting: "index",
  host: "registry.example.com",
  port: 443,
  source: "/home/u/.toolrc",
  line: 3,
  why: "configured",
  trusted: true,
}

function expanded(configured: Configured | null): string[] {
  return expandPreset(preset, configured).lines.map(({ text }) =>
    typeof text === "string" ? text : JSON.stringify(text),
  )
}

const always = '{"to":"https://always.example.com/**","by":"tool","wide":true}'

t.test("parsePreset() reads lines with their place, their reason and their source", async (t) => {
  t.same(preset.lines[1], {
    rule: "index.example.com",
    why: "the index",
    documentation: "https://docs.example.com/index",
    defaultOf: "index",
    line: 8,
  })
  t.equal(preset.manager, "tool")
})

t.test("parsePreset() throws on what is no preset", async (t) => {
  const table = [
    "",
    "[]",
    "about: x\nallow: x",
    "about: x\nallow: [y]",
    "about: x\nallow: [{to: a, why: b}]",
    "about: x\nallow: [{to: a, why: b, source: c, extra: d}]",
    "about: x\nallow: []\nmore: 1",
    "about: 1\nallow: []",
    "a: b: c",
  ]
  for (const text of table) t.throws(() => parsePreset("x", text), /Cannot read preset "x"/, text)
})

t.test("expandPreset() gives the defaults where nothing is configured", async (t) => {
  t.same(expanded(null), ["files.example.com", "index.example.com", always])
  const [first] = expandPreset(preset, null).lines
  t.same(first, {
    text: "files.example.com",
    source: "preset tool",
    line: 4,
    why: "files",
    documentation: "https://docs.example.com/files",
  })
})

t.test("expandPreset() puts a configured host in the place of the defaults", async (t) => {
  const configured = { places: [place], settled: ["index"], notes: ["a note"] }
  t.same(expanded(configured), [always, "registry.example.com"])
  const { lines, resolvePrivate, notes } = expandPreset(preset, configured)
  t.same(lines[1], {
    text: "registry.example.com",
    source: "preset tool (/home/u/.toolrc)",
    line: 3,
    why: "configured",
    documentation: null,
  })
  t.same(resolvePrivate, ["registry.example.com"])
  t.same(notes, ["a note"])
})

t.test("expandPreset() keeps all defaults of a setting that spells one of them out", async (t) => {
  const places = [{ ...place, host: "index.example.com" }]
  t.same(expanded({ places, settled: ["index"], notes: [] }), [
    "files.example.com",
    "index.example.com",
    always,
  ])
  const other = [{ ...place, host: "index.example.com", port: 80 }]
  t.same(expanded({ places: other, settled: ["index"], notes: [] }), [
    always,
    "index.example.com:80",
  ])
})

t.test("expandPreset() adds beside the defaults what replaces nothing", async (t) => {
  const places = [
    { ...place, setting: "extra", port: 8443 },
    { ...place, setting: "extra", port: 8443, line: 4 },
    { ...place, setting: "extra", host: "2001:db8::1", port: 80 },
    { ...place, setting: "extra", host: "2001:db8::1" },
    { ...place, setting: "extra", host: "10.0.0.1", port: 80, trusted: true },
  ]
  t.same(expanded({ places, settled: [], notes: [] }), [
    "files.example.com",
    "index.example.com",
    always,
    "registry.example.com:8443",
    "[2001:db8::1]:80",
    "2001:db8::1",
    "10.0.0.1:80",
  ])
})

t.test("expandPreset() lets no file of a project open private addresses to a name", async (t) => {
  const places = [{ ...place, trusted: false }]
  t.same(expandPreset(preset, { places, settled: [], notes: [] }).resolvePrivate, [])
})

t.test("expandPreset() lets no public registry resolve to private addresses", async (t) => {
  const places = [{ ...place, host: "index.example.com", port: 80 }]
  t.same(expandPreset(preset, { places, settled: [], notes: [] }).resolvePrivate, [])
})
