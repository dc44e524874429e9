"""A store that lies and fails on purpose, and what Headgate makes of it.

| file         | its part                                                                  |
| ------------ | ------------------------------------------------------------------------- |
| acts         | what the fault origin does to one answer: data, and its pure parts        |
| origin       | the fault origin: a process between a client and a real S3 server         |
| relay        | how it moves bytes, and how slowly                                        |
| counts       | what it saw of one path                                                   |
| control      | starts it and tells it what to do                                         |
| cache_damage | what a failing disk or a crash leaves in a cache's directory              |
| objects      | the objects that are read, with every kind of checksum                    |
| drawing      | a random fault for a random download                                      |
| downloads    | clients, quick and slow, that say what they took for complete             |
| campaign     | `python -m tests.faults.campaign --downloads 10000`                       |
| race         | `python -m tests.faults.race`: readers against a writer                   |
"""
