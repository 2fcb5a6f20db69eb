/** Puts back, one thing at a time, what a run changed in the machine's network namespace. */
import { setNetworkSetting } from "../kernel/link.ts"
import { runTool } from "../kernel/tool.ts"
import type { Undo } from "./run-directory.ts"

/** Never throws: what is already gone is as it should be. */
export function undo(change: Undo): void {
  try {
    switch (change.kind) {
      case "table":
        runTool("nft", ["delete", "table", "inet", change.table])
        return
      case "setting":
        setNetworkSetting(change.name, change.before)
        return
      case "rule":
        for (const handle of ruleHandles(change)) {
          const { family, table, chain } = change
          runTool("nft", ["delete", "rule", family, table, chain, "handle", String(handle)])
        }
        return
    }
  } catch {
    // Why: another hand has removed it, or the table it stood in.
  }
}

interface ListedRule {
  readonly rule?: { readonly handle: number; readonly comment?: string }
}

function ruleHandles(change: Extract<Undo, { kind: "rule" }>): number[] {
  const { family, table, chain, comment } = change
  const text = runTool("nft", ["-j", "-a", "list", "chain", family, table, chain])
  const listed = (JSON.parse(text) as { nftables: ListedRule[] }).nftables
  return listed.flatMap(({ rule }) => (rule?.comment === comment ? [rule.handle] : []))
}
