/** A repository of Debian packages (wiki.debian.org/DebianRepository/Format) with one. Pure. */
import { ar, tarball } from "../archives.ts"
import { digest, type Files } from "./files.ts"

const control = [
  "Package: tidy-words",
  "Version: 1.0.0",
  "Architecture: all",
  "Maintainer: Lab <lab@example.com>",
  "Description: words, tidy",
  "",
].join("\n")

/** What deb.example.com serves. It is not signed: its readers are told to trust it. */
export function debianFiles(): Files {
  const archive = ar({
    "debian-binary": "2.0\n",
    "control.tar.gz": tarball({ "./control": control }),
    "data.tar.gz": tarball({ "./usr/share/tidy-words/words": "tidy\n" }),
  })
  const path = "pool/tidy-words_1.0.0_all.deb"
  const rest = `Filename: ${path}\nSize: ${archive.length}\nSHA256: ${digest("sha256", archive)}\n`
  const list = `${control}${rest}\n`
  const lists = ["amd64", "arm64"].map((machine) => `main/binary-${machine}/Packages`)
  const sum = `${digest("sha256", list)} ${Buffer.byteLength(list)}`
  const release = [
    "Suite: lab",
    "Codename: lab",
    "Date: Thu, 01 Jan 2026 00:00:00 UTC",
    "Architectures: amd64 arm64",
    "Components: main",
    "SHA256:",
    ...lists.map((place) => ` ${sum} ${place}`),
    "",
  ].join("\n")
  return {
    "/debian/dists/lab/Release": release,
    ...Object.fromEntries(lists.map((place) => [`/debian/dists/lab/${place}`, list])),
    [`/debian/${path}`]: archive,
  }
}
