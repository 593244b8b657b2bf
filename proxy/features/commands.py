"""The commands of all features. To read them loads no feature: `voxgate --help` has to be quick."""

from __future__ import annotations

from proxy.commands.command import Command, Group
from proxy.features.consents.commands import CONSENTS
from proxy.features.lexicons.commands import LEXICONS
from proxy.features.marks.commands import DETECT
from proxy.features.marks.receipt_commands import RECEIPT
from proxy.features.models.commands import MODELS, NATURAL

GROUPS: tuple[Group, ...] = (CONSENTS, LEXICONS, RECEIPT, MODELS, NATURAL)
COMMANDS: tuple[Command, ...] = (DETECT,)
