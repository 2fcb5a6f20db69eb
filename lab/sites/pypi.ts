/** A Python index (PEP 503) with one wheel. Pure. */
import { zip } from "../archives.ts"
import { digest, type Files } from "./files.ts"

const wheel = "tidy_words-1.0.0-py3-none-any.whl"
const folder = "tidy_words-1.0.0.dist-info"
const line = "Wheel-Version: 1.0\nGenerator: lab\nRoot-Is-Purelib: true\nTag: py3-none-any\n"

function wheelBytes(): Buffer {
  const files = {
    "tidy_words.py": 'def tidy(text):\n    return " ".join(text.split())\n',
    [`${folder}/METADATA`]: "Metadata-Version: 2.1\nName: tidy-words\nVersion: 1.0.0\n",
    [`${folder}/WHEEL`]: line,
  }
  const record = [...Object.keys(files), `${folder}/RECORD`].map((path) => `${path},,\n`).join("")
  return zip({ ...files, [`${folder}/RECORD`]: record })
}

/** What pypi.example.com serves. */
export function pypiFiles(): Files {
  const bytes = wheelBytes()
  const link = `/files/${wheel}#sha256=${digest("sha256", bytes)}`
  const page = `<!doctype html><html><body><a href="${link}">${wheel}</a></body></html>`
  return { "/simple/tidy-words/": page, [`/files/${wheel}`]: bytes }
}
