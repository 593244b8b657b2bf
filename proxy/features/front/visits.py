"""The pages for visitors. Each is made when it is first opened, and stored until something in it changes."""

from __future__ import annotations

from ipaddress import ip_address

from starlette.requests import Request

from proxy.api.admin_tools import AdminTools
from proxy.api.front import LANGUAGE, PublicFront, fill_shell
from proxy.features.front.facts import FactsReader
from proxy.features.front.look import Look, read_look
from proxy.features.front.page import FrontPage, Visitor
from proxy.features.front.section import SECTION, FrontSection
from proxy.features.front.texts import language_of
from proxy.features.voice_list.voices import VoiceTools
from proxy.http.replies import Compressed

_PROXY_HEADERS = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")


class VisitorFront(PublicFront):
    """The front of one worker, for the latest revision of the configuration."""

    def __init__(self) -> None:
        self.look = Look({}, ())
        self._section = FrontSection()
        self._reader: FactsReader | None = None
        self._pages: dict[tuple[str, Visitor], Compressed] = {}
        self._pages_state: list[object] = []

    def use_revision(self, admin_tools: AdminTools, voices: VoiceTools) -> None:
        self._section = SECTION.of(admin_tools.config)
        self.name, self.look = self._section.name, read_look(self._section)
        self._admin_tools, self._voices = admin_tools, voices
        self._reader = reader = FactsReader(admin_tools, voices, self._section.voices)
        self._pages = {}
        voices.samples.show_on_front(reader.shown_ids)

    async def document(self, request: Request, shell: str) -> Compressed:
        reader = self._reader
        if reader is None:
            return fill_shell(shell)
        visitor = self._visitor(request)
        # For a stored page, a visit costs only this comparison.
        if (state := reader.sample_state()) != self._pages_state:
            self._pages, self._pages_state = {}, state
        pages, key = self._pages, (shell, visitor)
        if key not in pages:
            facts = await reader.read_facts(await self._voices.voice_entries(request))
            tools = self._admin_tools
            url = tools.config.server.public_url
            page = FrontPage(self._section, self.look, tools.people, facts, visitor, url)
            language, styles = visitor.language, self.look.links_html()
            pages[key] = fill_shell(
                shell,
                language=language,
                look="has-front",
                head=page.head(),
                styles=styles,
                body=page.body_html(),
            )
        return pages[key]

    def _visitor(self, request: Request) -> Visitor:
        wanted = request.query_params.get(LANGUAGE.name, "")
        language = language_of(wanted, request.headers.get("accept-language", ""))
        return Visitor(language, self._is_on_server(request))

    def _is_on_server(self, request: Request) -> bool:
        """Say whether a trial server is asked by its own machine, and not by a proxy there."""
        if not self._admin_tools.config.server.dev_key or request.client is None:
            return False
        if any(name in request.headers for name in _PROXY_HEADERS):
            return False
        try:
            return ip_address(request.client.host).is_loopback
        except ValueError:
            return False
