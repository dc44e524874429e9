"""Where ASGI and Hypercorn are met: requests come in here, answers go out. Decides no HTTP rule."""
