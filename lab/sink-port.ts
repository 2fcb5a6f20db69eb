/** Where the far end's ruleset sends every port that has no server of its own. */
export const sinkPort = 9
