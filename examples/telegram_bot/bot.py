"""A Telegram bot that reads texts aloud, in the voice of their chat, and writes voice notes down."""

from __future__ import annotations

import logging
import os
from urllib.parse import quote

from openai import APIStatusError, AsyncOpenAI, OpenAIError
from telegram import Update
from telegram.constants import ChatAction
from telegram.error import InvalidToken, NetworkError
from telegram.ext import Application, CommandHandler, ContextTypes, MessageHandler, PicklePersistence, filters

speech = AsyncOpenAI(base_url=os.environ["VOXGATE_URL"], api_key=os.environ["VOXGATE_KEY"])

_HELP = """Send me a text, and I read it to you. Send me a voice note, and I write it down.
/voice nova: speak with this voice
/voice nova pt-BR: and in this language, which I otherwise guess from each text"""


async def explain(update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
    await update.effective_message.reply_text(_HELP)


async def choose_voice(update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
    """Keep the chat's choice, if the server has such a voice; else the server's refusal is the answer."""
    if not context.args:
        await explain(update, context)
        return
    voice, language = context.args[0], " ".join(context.args[1:])
    await speech.get(f"/audio/voices/{quote(voice, safe='')}", cast_to=object)
    context.chat_data.update(voice=voice, language=language)
    chosen = f"{voice} and the language {language}" if language else voice
    await update.effective_message.reply_text(f"This chat has the voice {chosen} now.")


async def speak(update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
    """A message has up to 4096 characters, as has a request. Telegram plays Opus in Ogg as a voice note."""
    message = update.effective_message
    await message.reply_chat_action(ChatAction.RECORD_VOICE)
    language = context.chat_data.get("language")
    note = await speech.audio.speech.create(
        model="tts-1",
        voice=context.chat_data.get("voice", "alloy"),
        input=message.text,
        response_format="opus",
        extra_body={"language": language} if language else None,
    )
    await message.reply_voice(note.content)


async def write_down(update: Update, context: ContextTypes.DEFAULT_TYPE) -> None:
    """A voice note, or a sound that was sent, comes back as a text."""
    message = update.effective_message
    await message.reply_chat_action(ChatAction.TYPING)
    file = await message.effective_attachment.get_file()
    recording = bytes(await file.download_as_bytearray())
    heard = await speech.audio.transcriptions.create(model="whisper-1", file=("note.ogg", recording))
    # A message has up to 4096 characters.
    await message.reply_text(heard.text[:4096] or "I hear no words in it.")


async def apologise(update: object, context: ContextTypes.DEFAULT_TYPE) -> None:
    """Without an answer, people send their text again and again."""
    error = context.error
    if not (isinstance(update, Update) and isinstance(error, OpenAIError)):
        raise error
    # The server writes its refusals for people to read. Other failures are none of their business.
    body = error.body if isinstance(error, APIStatusError) else None
    reason = body["message"] if isinstance(body, dict) else "The speech server does not answer."
    await update.effective_message.reply_text(f"I cannot do that. {reason}")


async def announce(bot: Application) -> None:
    print(f"@{bot.bot.username} listens. Ctrl-C stops it.", flush=True)


def main() -> None:
    # It logs why the start failed, with a traceback: one line below says it.
    logging.getLogger("telegram.ext").addFilter(lambda _record: False)
    try:
        run()
    except InvalidToken:
        raise SystemExit("Telegram refuses TELEGRAM_TOKEN: copy it anew from @BotFather.") from None
    except NetworkError as error:
        raise SystemExit(f"Telegram cannot be reached from here: {error}") from None


def run() -> None:
    telegram = os.environ.get("TELEGRAM_API", "https://api.telegram.org")
    bot = (
        Application.builder()
        .token(os.environ["TELEGRAM_TOKEN"])
        .base_url(f"{telegram}/bot")
        .base_file_url(f"{telegram}/file/bot")
        .persistence(PicklePersistence(os.environ.get("CHATS", "chats.pickle")))
        # Else one long text would keep all other chats waiting.
        .concurrent_updates(8)
        .post_init(announce)
        .build()
    )
    bot.add_handler(CommandHandler(("start", "help"), explain))
    bot.add_handler(CommandHandler("voice", choose_voice))
    bot.add_handler(MessageHandler(filters.TEXT & ~filters.COMMAND, speak))
    bot.add_handler(MessageHandler(filters.VOICE | filters.AUDIO, write_down))
    # In a group, a command may be for another bot.
    bot.add_handler(MessageHandler(filters.COMMAND & filters.ChatType.PRIVATE, explain))
    bot.add_error_handler(apologise)
    bot.run_polling()


if __name__ == "__main__":
    main()
