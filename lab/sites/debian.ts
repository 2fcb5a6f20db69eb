/** A repository of Debian packages (wiki.debian.org/DebianRepository/Format), flat, with one. Pure. */
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
  const name = "tidy-words_1.0.0_all.deb"
  const rest = `Filename: ./${name}\nSize: ${archive.length}\nSHA256: ${digest("sha256", archive)}\n`
  const list = `${control}${rest}\n`
  const listed = ` ${digest("sha256", list)} ${Buffer.byteLength(list)} Packages`
  const release = `Suite: lab\nDate: Thu, 01 Jan 2026 00:00:00 UTC\nArchitectures: all amd64\nSHA256:\n${listed}\n`
  return {
    "/words/Release": release,
    "/words/Packages": list,
    [`/words/${name}`]: archive,
  }
}
