"""What every route takes and gives, in the structs that its endpoint reads and writes.

A test holds this table and the app's routes to one another, and real answers to both.
"""

from __future__ import annotations

from proxy.api_admin.operations.admin import ADMIN
from proxy.api_admin.operations.clients import CLIENTS

OPERATIONS = (*CLIENTS, *ADMIN)
