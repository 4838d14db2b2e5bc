"""A control socket server on the library websockets, for our client.

Prints its port. The path of a connection says how it behaves: it sends two messages, echoes
what it gets, and ends with the close code in the path; 0 drops the connection.
"""

import asyncio
import json

from websockets.asyncio.server import serve


async def handle(connection):
    code = int(connection.request.path.split("/")[-2])
    token = connection.request.headers.get("x-machine-agent-token")
    await connection.send(json.dumps({"type": "control.connected", "machineId": str(code), "agentId": token, "createdAt": "c"}))
    await connection.send('{"type":"purchase.created","payload":{"purchaseId":"p"},"createdAt":"c"}')
    await (await connection.ping())
    sent = json.loads(await connection.recv())
    await connection.send(json.dumps({"type": "control.ack", "messageType": sent["type"], "createdAt": "c"}))
    if code == 0:
        connection.transport.abort()
    else:
        await connection.close(code, "as agreed")


async def main():
    async with serve(handle, "127.0.0.1", 0) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.to_thread(input)


try:
    asyncio.run(main())
except EOFError:
    pass
