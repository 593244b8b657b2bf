"""The page for visitors, written of facts. Each text goes through `markup`, which escapes it."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple
from urllib.parse import quote

import msgspec

from proxy.api.front import LANGUAGES
from proxy.catalogue.people import Offered, People
from proxy.features.front.facts import Facts, ShownVoice
from proxy.features.front.look import Look
from proxy.features.front.markup import Html, html, joined
from proxy.features.front.section import FrontSection
from proxy.features.front.texts import Texts, pages_of

_LANGUAGE_NAMES = {"en": "English", "pt-BR": "Português", "th": "ไทย", "es": "Español"}
_SIGN_IN = "#/sign-in"
_PROVIDER_NAMES = {"mercadopago": "Mercado Pago", "stripe": "Stripe"}
"""The names that buyers know, by provider."""
_ICON_PATHS = {
    "long": "M4 5c3-1 6-1 8 1 2-2 5-2 8-1v13c-3-1-6-1-8 1-2-2-5-2-8-1zM12 6v13",
    "dialogue": "M4 5h10v7H8l-4 3zM14 9h6v9l-4-2h-6v-3",
    "own_voices": "M9 6a3 3 0 0 1 6 0v5a3 3 0 0 1-6 0zM5 11a7 7 0 0 0 14 0M12 18v3",
    "program": "M8 7l-5 5 5 5M16 7l5 5-5 5",
    "marks": "M12 3l8 3v6c0 5-4 8-8 9-4-1-8-4-8-9V6zM8.5 12l2.5 2.5 4.5-5",
}
"""The paths in SVG of the icons, by ability."""


class Visitor(NamedTuple):
    """The language of a visitor, and whether the page is opened on the machine of the server."""

    language: str
    is_on_server: bool


class FrontPage(NamedTuple):
    """The page for one visitor, under one revision of the configuration."""

    section: FrontSection
    look: Look
    people: People
    facts: Facts
    visitor: Visitor
    public_url: str

    @property
    def texts(self) -> Texts:
        return Texts(self.visitor.language)

    @property
    def service_name(self) -> str:
        return self.section.name or "voxgate"

    @property
    def lead(self) -> str:
        own_lead = self.section.lead_in(self.visitor.language)
        return own_lead or self.texts("lead" if self.facts.clips else "lead_silent")

    def head(self) -> Html:
        more = []
        if not self.people.may_sign_up:
            more.append(html("meta", kind=Html("name"), name="robots", content="noindex"))
        if self.public_url:
            more.append(html("meta", kind=Html("property"), name="og:url", content=self.public_url))
        title = self.texts("title", name=self.service_name)
        return html("head", title=title, name=self.service_name, lead=self.lead, more=joined(more))

    def body_html(self) -> Html:
        facts, texts = self.facts, self.texts
        spoken = {"voices": texts.number(facts.all_voices), "languages": facts.languages}
        return html(
            "page",
            picture=self.look.picture_html(),
            name=self.service_name,
            sections=texts("sections"),
            links=joined(self._sections_html()),
            languages=self._languages_html(),
            sign_in=self._sign_in_html(),
            shape="" if facts.clips else "alone",
            heading=texts("heading" if facts.is_natural else "heading_plain"),
            lead=self.lead,
            counts=texts("counts", **spoken) if facts.all_voices > 1 and facts.languages > 1 else "",
            begin=joined(self._begin_html()),
            sample=self._sample_html(),
            abilities=self._abilities_html(),
            voices=self._voices_html(),
            prices=self._prices_html(),
            footer=joined(self._footer_html()),
        )

    def _sections_html(self) -> list[Html]:
        sections = [("#voices", "voices", self.facts.voices), ("#prices", "prices", self.facts.offers)]
        links = [html("link", address=at, text=self.texts(key)) for at, key, items in sections if items]
        return [*links, html("link", address="docs", text=self.texts("api"))]

    def _languages_html(self) -> Html:
        language = self.visitor.language
        others = [
            html("language", language=tag, text=_LANGUAGE_NAMES[tag]) for tag in LANGUAGES if tag != language
        ]
        chosen, others_html = _LANGUAGE_NAMES[language], joined(others)
        label = f"{self.texts('language')}: {chosen}"
        return html("languages", label=label, language=language, chosen=chosen, others=others_html)

    def _sign_in_html(self) -> Html:
        is_open = self.people.sign_in == "mail"
        return self._button("sign_in", _SIGN_IN, "plain") if is_open else Html()

    def _button(self, key: str, address: str, rank: str = "", **values: object) -> Html:
        return html("button", address=address, rank=rank, text=self.texts(key, **values))

    def _begin_html(self) -> list[Html]:
        """Return where a visitor begins: an account, an invitation, or a key."""
        texts, people = self.texts, self.people
        if people.sign_in == "closed":
            notice = html("strong", text=texts("own" if self.visitor.is_on_server else "closed"))
            have, label, opens = texts("have_key"), texts("key"), texts("open")
            return [notice, html("key", have=have, label=label, open=opens)]
        buttons = [self._button("see_prices", "#prices")] if self.facts.offers else []
        if not people.may_sign_up:
            if people.sign_in == "mail":
                buttons.insert(0, self._button("sign_in", _SIGN_IN, "first"))
            return [html("strong", text=texts("invitation")), html("row", parts=joined(buttons))]
        minutes = int(self.facts.start.number) if self.facts.start else 0
        start = (
            self._button("start", _SIGN_IN, "first", n=texts.number(minutes))
            if minutes > 1
            else self._button("start_plain", _SIGN_IN, "first")
        )
        return [html("row", parts=joined([start, *buttons])), html("small", text=texts("mail"))]

    def _speaker_words(self, voice: ShownVoice) -> str:
        gender = {"female": self.texts("woman"), "male": self.texts("man")}.get(voice.gender.lower(), "")
        language = self.texts.language_name(voice.language) if voice.language else ""
        return ", ".join(filter(None, (self.texts("robot") if voice.is_robot else gender, language)))

    def _sample_html(self) -> Html:
        if not self.facts.clips:
            samples = [each.sample for each in self.facts.voices]
            state = "soon" if None in samples else "below" if any(samples) else "none"
            return html("note", text=self.texts(f"sample_{state}"))
        # The reader's own language comes first, if it is spoken here.
        clips = sorted(self.facts.clips, key=lambda clip: clip.language != self.visitor.language)
        first_language = clips[0].language
        options = [
            html(
                "option",
                language=tag,
                checked=Html("checked" if tag == first_language else ""),
                text=_LANGUAGE_NAMES[tag],
            )
            for tag in (clip.language for clip in clips)
        ]
        label = self.texts("sample_language")
        choice = html("choice", label=label, options=joined(options)) if len(clips) > 1 else Html()
        players = [
            html(
                "clip",
                language=clip.language,
                hidden=Html("" if clip.language == first_language else "hidden"),
                text=clip.text,
                sound=clip.address.lstrip("/"),
                play=self.texts("play", name=clip.voice.title),
                pause=self.texts("pause"),
                position=self.texts("position"),
                by=self.texts("by", name=clip.voice.title, who=self._speaker_words(clip.voice)).rstrip(", "),
                marked=self.texts("marked") if "marks" in self.facts.abilities else "",
            )
            for clip in clips
        ]
        return html("sample", choice=choice, clips=joined(players))

    def _abilities_html(self) -> Html:
        all_ = [
            html("ability", path=_ICON_PATHS[key], title=self.texts(key), text=self.texts(f"{key}_text"))
            for key in self.facts.abilities
        ]
        return html("abilities", title=self.texts("can"), all=joined(all_))

    def _voices_html(self) -> Html:
        facts, texts = self.facts, self.texts
        if not facts.voices:
            return Html()
        notes = [texts("measured")] if any(each.pitch for each in facts.voices) else []
        if facts.all_voices > len(facts.voices):
            notes.append(texts("all_voices", n=texts.number(facts.all_voices)))
        note = html("small", text=" ".join(notes)) if notes else Html()
        return html(
            "voices", title=texts("voices"), all=joined(map(self._voice_html, facts.voices)), note=note
        )

    def _voice_html(self, voice: ShownVoice) -> Html:
        words = [self.texts(f"pitch.{voice.pitch}")] if voice.pitch else []
        words += [self.texts(f"pace.{voice.pace}")] if voice.pace else []
        label, pause = self.texts("hear", name=voice.title), self.texts("pause")
        sound = (voice.sample or "").lstrip("/")
        who = self._speaker_words(voice)
        return html(
            "voice",
            letter=voice.title[:1].upper(),
            title=voice.title,
            who=who[:1].upper() + who[1:],
            words=html("words", text=", ".join(words)) if words else Html(),
            play=html("play", sound=sound, label=label, pause=pause) if sound else Html(),
        )

    def _prices_html(self) -> Html:
        offers = self.facts.offers
        if not offers:
            return Html()
        names = dict.fromkeys(_PROVIDER_NAMES[each] for offer in offers for each in offer.providers)
        paid = [self.texts("paid_at", providers=", ".join(names))] if names else []
        note = html("small", text=" ".join((self.texts("price_note"), *paid)))
        best = next((each for each in offers if each.object == "plan"), None)
        all_ = [self._price_html(each, is_first=each is best) for each in offers]
        return html("prices", title=self.texts("prices"), all=joined(all_), note=note)

    def _price_html(self, offer: Offered, *, is_first: bool) -> Html:
        texts, is_plan = self.texts, offer.object == "plan"
        amount = Decimal(offer.amount)
        minutes = offer.minutes.number if offer.minutes else None
        bought = [texts.speech(offer.minutes)] if offer.minutes and is_plan else []
        # Where a credit is a minute, one number says both.
        if offer.credits is not None and offer.credits != minutes:
            bought.append(texts("credits", n=texts.number(offer.credits)))
        lines = [" · ".join(bought)] if bought else []
        if minutes is not None and minutes >= 1:
            each = amount / Decimal(str(minutes))
            lines.append(texts("a_minute", price=texts.price(each, offer.currency)))
        lines += [*self._limit_lines(offer), *offer.features, texts("ends" if is_plan else "stays")]
        title = offer.name[:1].upper() + offer.name[1:] if is_plan else self._pack_title(offer)
        may_buy = self.people.sign_in != "closed" and offer.providers
        order_path = "/".join(quote(each, safe="") for each in (offer.object, offer.name, title))
        choose = self._button(
            "choose_named" if is_plan else "choose",
            f"{_SIGN_IN}/{order_path}",
            "first" if is_first else "",
            name=title,
        )
        return html(
            "price",
            title=title,
            amount=texts.price(amount, offer.currency),
            per=texts("month" if is_plan else "once"),
            lines=joined(html("line", text=line) for line in lines),
            choose=choose if may_buy else Html(),
        )

    def _limit_lines(self, offer: Offered) -> list[str]:
        """Return the limits of a plan as sentences, without those that are 0 or not set."""
        limits = {} if offer.limits is None else msgspec.structs.asdict(offer.limits)
        texts = self.texts
        shown = [(name, n) for name in self.facts.limits if (n := limits.get(name))]
        shown = [(name, pages_of(n) if name == "job_characters" else n) for name, n in shown]
        return [texts(f"limit.{name}{'_one' if n == 1 else ''}", n=texts.number(n)) for name, n in shown]

    def _pack_title(self, offer: Offered) -> str:
        minutes = offer.minutes
        return self.texts.time(minutes.number) if minutes and minutes.number > 1 else self.texts("pack")

    def _footer_html(self) -> Sequence[Html]:
        people, texts = self.people, self.texts
        legal = [(texts(name), getattr(people, name)) for name in ("terms", "privacy", "imprint")]
        links = [*legal, *((each.title, each.url) for each in self.section.links)]
        shown = [html("outside", address=address, text=title) for title, address in links if address]
        runs = html("runs", text=texts("runs"))
        return [*shown, html("link", address="docs", text=texts("reference")), runs]
