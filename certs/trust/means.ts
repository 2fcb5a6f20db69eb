/**
 * With which tool a distribution takes an authority into the system's own store, and gives it back. Pure.
 */

export interface Means {
  readonly tool: string
  /** Where a machine's own authorities lie, and how their files end. */
  readonly anchors: string
  readonly ending: string
  /** Arguments once the file is there, and once it is gone. */
  readonly add: readonly string[]
  readonly remove: readonly string[]
}

const means: readonly Means[] = [
  {
    // Debian, Ubuntu, Alpine: update-ca-certificates(8). Without --fresh the links of a file that is
    // gone stay.
    tool: "update-ca-certificates",
    anchors: "/usr/local/share/ca-certificates",
    ending: "crt",
    add: [],
    remove: ["--fresh"],
  },
  {
    // openSUSE: update-ca-certificates(8)
    tool: "update-ca-certificates",
    anchors: "/etc/pki/trust/anchors",
    ending: "pem",
    add: [],
    remove: [],
  },
  {
    // Fedora, Red Hat: update-ca-trust(8)
    tool: "update-ca-trust",
    anchors: "/etc/pki/ca-trust/source/anchors",
    ending: "pem",
    add: ["extract"],
    remove: ["extract"],
  },
  {
    // Arch: update-ca-trust(8)
    tool: "update-ca-trust",
    anchors: "/etc/ca-certificates/trust-source/anchors",
    ending: "crt",
    add: [],
    remove: [],
  },
]

/**
 * The means of this machine.
 *
 * @param hasTool whether a program is installed
 * @param isDirectory whether a directory is there
 * @returns null: no distribution that is known
 */
export function systemMeans(
  hasTool: (name: string) => boolean,
  isDirectory: (path: string) => boolean,
): Means | null {
  return means.find(({ tool, anchors }) => isDirectory(anchors) && hasTool(tool)) ?? null
}

/** What a person is told where there are none. */
export const knownMeans = [...new Set(means.map(({ tool }) => tool))].join(" or ")

/** The authority's file among a machine's own. */
export function anchorFile({ anchors, ending }: Means): string {
  return `${anchors}/sluice.${ending}`
}
