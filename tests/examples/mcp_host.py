"""A host of MCP servers, in an environment with `mcp`: it makes calls, and prints their answers.

The first argument is the server's program, the second a JSON list of `[tool, arguments]`. A call of null
waits for a line on stdin.
"""

import asyncio
import json
import os
import sys

from mcp import Client
from mcp.client.stdio import StdioServerParameters


async def main(program: str, calls: list[list[object] | None]) -> None:
    server = StdioServerParameters(command=sys.executable, args=[program], env=dict(os.environ))
    async with Client(server) as client:
        tools = await client.list_tools()
        print(json.dumps(sorted(tool.name for tool in tools.tools)), flush=True)
        for call in calls:
            if call is None:
                await asyncio.to_thread(sys.stdin.readline)
                continue
            answer = await client.call_tool(*call)
            parts = [part.model_dump(by_alias=True, exclude_none=True) for part in answer.content]
            print(json.dumps({"is_error": bool(answer.is_error), "content": parts}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))
