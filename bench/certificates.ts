/**
 * Certificates of the bench, ECDSA P-256 all: the origin's, under an authority that every firewall is
 * told to trust, and those of peers that open TLS but make no authority of their own.
 */
import { execFileSync } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"

/** Issued the origin's certificate; what `--upstream-ca` and its like are given. */
export const authorityFile = "authority.pem"
export const authorityName = "Bench authority"
export const originFiles = { certificate: "cert.pem", key: "key.pem" } as const
/** Issues what peers show to clients. */
export const peerAuthorityFiles = {
  certificate: "peer-authority.pem",
  key: "peer-authority.key",
  both: "peer-authority-both.pem",
} as const
/** For the page alone, certificate and key in one file. */
export const peerPageFile = "peer-page.pem"
/** For every name of the origin, as nginx needs it, which makes none. */
export const peerWildcardFiles = {
  certificate: "peer-wildcard.pem",
  key: "peer-wildcard.key",
} as const

const daysValid = "2"
const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]

type Place = (name: string) => string

function request(argv: readonly string[]): void {
  execFileSync("openssl", ["req", "-x509", ...newKey, "-days", daysValid, ...argv], {
    stdio: "ignore",
  })
}

function authority(place: Place, name: string, certificate: string, key: string): void {
  const extensions = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign"]
  request([
    ...["-keyout", place(key), "-out", place(certificate), "-subj", `/CN=${name}`],
    ...extensions.flatMap((extension) => ["-addext", extension]),
  ])
}

interface Issuer {
  readonly certificate: string
  readonly key: string
}

function leaf(
  place: Place,
  names: readonly string[],
  issuer: Issuer,
  { certificate, key }: Issuer,
): void {
  const extensions = [
    `subjectAltName=${names.map((name) => `DNS:${name}`).join(",")}`,
    ...["basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature"],
    "extendedKeyUsage=serverAuth",
  ]
  request([
    ...["-CA", place(issuer.certificate), "-CAkey", place(issuer.key)],
    ...["-keyout", place(key), "-out", place(certificate), "-subj", `/CN=${names[0]}`],
    ...extensions.flatMap((extension) => ["-addext", extension]),
  ])
}

/**
 * @param place where a file of that name is
 * @param names that the origin serves; the first is the page's
 */
export function writeCertificates(place: Place, names: readonly string[]): void {
  const origin = { certificate: authorityFile, key: "authority.key" }
  authority(place, authorityName, origin.certificate, origin.key)
  leaf(place, names, origin, originFiles)
  const peers = peerAuthorityFiles
  authority(place, "Bench peers", peers.certificate, peers.key)
  join(place, peers.both, peers)
  leaf(place, names, peers, peerWildcardFiles)
  const page = { certificate: "peer-page-cert.pem", key: "peer-page.key" }
  leaf(place, names.slice(0, 1), peers, page)
  join(place, peerPageFile, page)
}

/** Certificate and key in one file, as HAProxy reads them. */
function join(place: Place, to: string, { certificate, key }: Issuer): void {
  const parts = [certificate, key].map((file) => readFileSync(place(file), "utf8"))
  writeFileSync(place(to), parts.join(""))
}
