"""Where sockets and ASGI are met: requests come in, answers go out. Decides no rule of HTTP."""
