# A server of MCP with the official Python SDK: `server.py stdio`, `server.py http PORT`, `server.py sse PORT`.
import os
import sys

from mcp.server import MCPServer

server = MCPServer("python")


@server.tool()
def add(a: int, b: int) -> str:
    """Adds two numbers."""
    return str(a + b)


@server.tool()
def fail() -> str:
    """Fails."""
    raise ValueError("the SDK keeps this to itself")


@server.tool()
def secret() -> str:
    """Says whether it has its secret."""
    print("on standard error:", os.environ.get("SECRET"), file=sys.stderr)
    return str(os.environ.get("SECRET") == "s3cret-of-the-program")


match sys.argv[1]:
    case "stdio":
        server.run("stdio")
    case "http":
        server.run("streamable-http", port=int(sys.argv[2]))
    case "sse":
        server.run("sse", port=int(sys.argv[2]))
