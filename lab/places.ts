/** Who lives where on the lab's Internet. Documentation ranges only (RFC 5737, RFC 3849), and dummies. */

/** Addresses of the far end; each has a twin in 2001:db8::/64 unless it is special. */
export const places = {
  good: "198.51.100.10",
  registry: "198.51.100.11",
  cdn: "198.51.100.20",
  evil: "198.51.100.66",
  resolver: "203.0.113.53",
  otherResolver: "203.0.113.66",
  private: "10.99.0.10",
  metadata: "169.254.169.254",
  wireServer: "168.63.129.16",
} as const

export const twins = {
  good: "2001:db8::10",
  registry: "2001:db8::11",
  cdn: "2001:db8::20",
  evil: "2001:db8::66",
} as const

/** What an authority says of one name. */
export interface Records {
  readonly a?: readonly string[]
  readonly aaaa?: readonly string[]
  readonly cname?: string
  readonly txt?: readonly string[]
  /** Answer SVCB/HTTPS questions with a record that carries parameters. */
  readonly https?: boolean
  /** Seconds. Default 60. */
  readonly ttl?: number
  /** Give one of `a` at a time, the next one with each question. */
  readonly rotate?: boolean
  /** Answer over UDP only that the answer is cut (TC). */
  readonly truncated?: boolean
}

/** By name, or `*.NAME` for everything below it. */
export type Zone = Readonly<Record<string, Records>>

const both = (place: keyof typeof twins): Records => ({ a: [places[place]], aaaa: [twins[place]] })

export const defaultZone: Zone = {
  "allowed.test": { ...both("good"), txt: ["hello"], https: true },
  "*.allowed.test": both("good"),
  "allowed-cdn.test": both("cdn"),
  "evil-tenant.test": both("cdn"),
  "evil.test": both("evil"),
  "*.evil.test": both("evil"),
  "registry.example.com": both("registry"),
  "git.example.com": both("registry"),
  "pypi.example.com": both("registry"),
  "crates.example.com": both("registry"),
  "deb.example.com": both("registry"),
  "gems.example.com": both("registry"),
  "github.example.com": both("registry"),
  "grpc.example.com": both("registry"),
  "maven.example.com": both("registry"),
  "packages.example.com": both("registry"),
  "proxy.example.com": both("registry"),
  "alias.test": { cname: "evil.test" },
  "inner-alias.test": { cname: "allowed.test" },
  "private.test": { a: [places.private] },
  "metadata.test": { a: [places.metadata] },
  "loopback.test": { a: ["127.0.0.1"], aaaa: ["::1"] },
  "mapped.test": { aaaa: ["::ffff:10.99.0.10", "64:ff9b::a9fe:a9fe"] },
  "mixed.test": { a: [places.private, places.good] },
  "flip.test": { a: [places.good, places.evil], rotate: true, ttl: 0 },
  "long.test": { a: Array.from({ length: 60 }, (_, index) => `198.51.100.${100 + index}`) },
  "cut.test": { a: [places.good], truncated: true },
  "time.test": { a: [places.good], aaaa: [twins.good] },
}
