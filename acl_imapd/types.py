"""Names for the integers and strings that cross module borders."""

from typing import NewType

Uid = NewType("Uid", int)
SeqNum = NewType("SeqNum", int)
ModSeq = NewType("ModSeq", int)
MailboxId = NewType("MailboxId", int)
UserId = NewType("UserId", int)
TeamId = NewType("TeamId", int)
AclId = NewType("AclId", int)
BodyId = NewType("BodyId", int)
MailboxName = NewType("MailboxName", str)  # as one user sees it, decoded: "Other Users/alice/Work"
