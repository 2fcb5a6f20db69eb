/** The little of GitHub's REST API that gh(1) asks at an enterprise host. Pure. */
import type { Files } from "./files.ts"

const repository = {
  id: 1,
  name: "words",
  full_name: "example/words",
  private: false,
  default_branch: "main",
  html_url: "https://github.example.com/example/words",
}

/** What github.example.com serves. */
export function githubFiles(): Files {
  return {
    "/api/v3/repos/example/words": JSON.stringify(repository),
    "/api/v3/user": JSON.stringify({ login: "example", id: 1 }),
  }
}
