"""HTTP/3 (RFC 9114, QPACK RFC 9204) on aioquic's QUIC. Imported only where it is switched on.

Streams, fields, priorities and budgets are HTTP/2's, and so is the exchange with the app. Why so:
docs/decisions/0013-http3-on-aioquics-quic.md.

frames        frames as bytes                  faults      what can be wrong
static_table  what QPACK knows from the start  qpack       field blocks, both ways
streams       one request's stream             control     streams that carry none
sending       what leaves, and when            connection  heads, bodies, how streams end
quic          aioquic's connection, bounded

On sockets:

datagrams     UDP sockets                      link        the socket of one connection
endpoint      whose a datagram is              opening     where it begins
protocol      one connection: timers, tasks, its end
"""
