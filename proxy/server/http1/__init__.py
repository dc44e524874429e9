"""HTTP/1.1 (RFC 9112) on a transport, without streams, queues or tasks in between.

parser      bytes to requests; all framing rules; pure
heads       the head of a response to bytes; pure
exchange    one request and its response, as ASGI speaks of them
connection  one connection: what it reads and writes when, its deadlines, its end
"""
