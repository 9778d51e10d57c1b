//! `kind = "processes"`: no gateway and no table. Servers that talk over stdin and lost their host, wherever they are.

use super::{GatewayKind, Kind};
use crate::config::section::Section;

pub(super) const KIND: Kind = Kind {
    word: "processes",
    keys: &[],
    read: |_: &Section<'_>| Some(GatewayKind::Processes),
    worker_match: None,
    policy: &[],
};

/// Words that stand for a pattern, in `match` of a gateway of this kind.
pub(in crate::config) const PRESETS: [(&str, &str); 2] = [("mcp", MCP), ("acp", ACP)];

/// MCP servers: a program, a script or a package in whose name `mcp` is a word of its own, beside others (`mcp-server-time`,
/// `github-mcp-server`, `mcp_server_git`), or of the scope `@modelcontextprotocol`; by itself, run by node, bun, deno or Python, or by
/// what fetches and runs packages.
const MCP: &str = r"(?x)
    (?:
        # node /x/mcp-server.js, python -m mcp_server_time, mcp-server-time
        (?:(?:\S*/)?(?:node|nodejs|bun|deno|python[0-9.]*)(?:\ -\S+)*\ )?
        (?:
            (?:\S*/)?(?:(?:[\w.]+-|\w+_)+mcp(?:[-_.][\w.]+)*|mcp(?:[-_][\w.]+)+)
            | \S*/(?:@modelcontextprotocol/server-[\w.-]+|node_modules/(?:@[\w.-]+/)?(?:(?:[\w.]+-)+mcp(?:-[\w.]+)*|mcp(?:-[\w.]+)+))/\S+
        )
        # npm exec, npx, uvx, and the shell that npm puts around a package's program
        | (?:(?:\S*/)?(?:npx|bunx|uvx|npm\ exec|pnpm\ dlx|uv\ tool\ (?:uvx|run)|uv\ run)(?:\ -\S+)*|(?:\S*/)?sh\ -c)\ 
        (?:
            @modelcontextprotocol/server-[\w.-]+
            | (?:@[\w.-]+/)?(?:(?:[\w.]+-|\w+_)+mcp(?:[-_][\w.]+)*|mcp(?:[-_][\w.]+)+)
        )(?:[@=]\S+)?
    )
    (?:\s|$)";

/// ACP adapters: the same with `acp` (`codex-acp`, `claude-code-acp`), and the agents that speak it themselves when they are told to
/// (`opencode acp`, `goose acp`, `gemini --experimental-acp`).
const ACP: &str = r"(?x)
    (?:
        (?:(?:\S*/)?(?:node|nodejs|bun|deno|python[0-9.]*)(?:\ -\S+)*\ )?
        (?:
            (?:\S*/)?(?:(?:[\w.]+-|\w+_)+acp(?:[-_.][\w.]+)*|acp(?:[-_][\w.]+)+)
            | \S*/node_modules/(?:@[\w.-]+/)?(?:(?:[\w.]+-)+acp(?:-[\w.]+)*|acp(?:-[\w.]+)+)/\S+
            | (?:\S*/)?(?:opencode|goose|kimi)\ acp
            | (?:\S*/)?(?:gemini|qwen)\ (?:\S+\ )*--(?:experimental-)?acp
        )
        | (?:(?:\S*/)?(?:npx|bunx|uvx|npm\ exec|pnpm\ dlx|uv\ tool\ (?:uvx|run)|uv\ run)(?:\ -\S+)*|(?:\S*/)?sh\ -c)\ 
        (?:@[\w.-]+/)?(?:(?:[\w.]+-|\w+_)+acp(?:[-_][\w.]+)*|acp(?:[-_][\w.]+)+)(?:[@=]\S+)?
    )
    (?:\s|$)";

#[cfg(test)]
mod tests {
    use crate::domain::policy::WorkerMatch;

    use super::*;

    fn check(pattern: &str, fits: &[&str], others: &[&str]) {
        let pattern = WorkerMatch::new(pattern).unwrap();
        for argv in fits {
            assert!(pattern.matches(argv).is_some(), "{argv}");
        }
        for argv in others {
            assert!(pattern.matches(argv).is_none(), "{argv}");
        }
    }

    #[test]
    fn mcp_fits_servers_however_they_were_started_and_nothing_else() {
        check(
            MCP,
            &[
                "mcp-server-time --local-timezone UTC",
                "/home/me/.venv/bin/python /home/me/.venv/bin/mcp-server-time",
                "/usr/bin/python3.12 -u -m mcp_server_git --repository /x",
                "uv tool uvx mcp-server-fetch",
                "/root/.local/bin/uvx mcp-server-fetch@latest",
                "uv run mcp-server-x",
                "node /x/node_modules/.bin/mcp-server-filesystem /tmp",
                "node /x/node_modules/@modelcontextprotocol/server-memory/dist/index.js",
                "/usr/bin/node --no-warnings /x/node_modules/some-mcp/build/index.js",
                "npm exec @modelcontextprotocol/server-everything",
                "npm exec -y @playwright/mcp-server@0.1 ",
                "sh -c mcp-server-everything",
                "/usr/local/bin/github-mcp-server stdio",
                "node /opt/context7-mcp",
                "node /home/me/my_mcp_server.js",
            ],
            &[
                "vi mcp-server.js",
                "tail -f /var/log/mcp-server.log",
                "bash -c while true; do mcp-server-time; done",
                "python3 train.py --name mcp-server",
                "node /x/server.js --mcp-server",
                "mcp",
                "mcpd --daemon",
                "/usr/lib/compmcp-server",
                "docker run -i mcp/github",
                "claude --mcp-config x",
                "python -c import mcp_server",
                "/usr/bin/ssh host mcp-server-time",
            ],
        );
    }

    #[test]
    fn acp_fits_adapters_and_agents_that_were_told_to_speak_it() {
        check(
            ACP,
            &[
                "/x/codex-acp",
                "node /x/node_modules/.bin/claude-code-acp",
                "/usr/bin/node /x/node_modules/@zed-industries/codex-acp/bin/codex-acp.js",
                "npm exec @zed-industries/claude-code-acp",
                "sh -c codex-acp",
                "opencode acp",
                "/usr/local/bin/goose acp",
                "node /usr/bin/gemini --experimental-acp",
                "python3 -m amp_acp",
            ],
            &[
                "opencode serve",
                "opencode",
                "gemini",
                "vi codex-acp.rs",
                "acpid",
                "/usr/sbin/acpid -f",
                "goose run acp",
            ],
        );
    }
}
