"""Whether the bytes that came are those the store promised.

| module      | its part                                                         | does I/O |
| ----------- | ---------------------------------------------------------------- | -------- |
| checksums   | the algorithms, fed buffer by buffer; composite ones over parts   |          |
| combination | the CRC of a whole from the CRCs of its slices, in any order      |          |
| choice      | which of an object's checksums is used                            |          |
| verdict     | what came of a check                                              |          |
| rolling     | a checksum beside a stream: inline, or in a thread where slow     | threads  |
| parts       | the part sizes of objects seen lately, and the parts' checksums   | yes      |
| stretches   | the whole parts that a range lies in                              |          |
| reach       | what of an object can be checked, and by what                     | yes      |
| checking    | how much is checked                                               |          |
| judging     | an open object that holds back the end                            | yes      |
| verified    | `Verified`: an origin over an origin                              | yes      |
| sweep       | checks many objects of an origin, some at a time                  | yes      |
| targets     | which origin and key a command's argument means                   |          |
| telling     | the words of that command                                         |          |

Why it is as it is: docs/decisions/0004-what-is-verified-and-what-is-not.md.
"""
