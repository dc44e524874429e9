"""HTTP/2 (RFC 9113, HPACK RFC 7541, priorities RFC 9218) by a frame layer of our own.

Pure, from bytes up to what a connection means. Why so:
docs/decisions/0006-own-frame-layer-for-http2.md.

frames      frames as bytes                      faults      what can be wrong
blocks      field blocks that come               heads       field blocks that go
fields      what a request's fields must fulfil  priority    what a client says of urgency
flow        windows                              budgets     what it may send of costly frames
streams     one stream                           schedule    whose turn it is
sending     what leaves, and when                core        streams, and how they end
control     frames without head or body          connection  heads, bodies, the frame loop

On a transport:

exchange    one request and its response, as ASGI speaks of them
handlers    those of one connection: when they start, and hear of its end
lingering   the last moments of a client that was told to go
protocol    one connection: reads, writes, deadlines, its end
"""
