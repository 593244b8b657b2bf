"""The texts that the rules for detected languages were chosen with; how good they are, others have to say."""

from __future__ import annotations

_TEXTS = {
    "en": """
        Hello|OK|Yes please|Stop|Welcome back|Press one now|Order up|Nice one|What time is it?|Not today
        Call me|Mind the gap|Battery low|New message|Turn it off|Dinner is ready|Play some jazz|How are you?
        Testing one two three|Let's go|No problem at all|Sign in|Lights out|It works|Come in|Hello world
        Hi Ngozi|Hello, Obinna Eze|Paris in spring|Pizza Margherita|El Niño is coming|Bon Jovi tonight
        Room 12|Version 2.0|The cat sat|I am late|Wake up, John|Ahmed called you|Amara is here|Wee bit late
        She sells sea shells by the sea shore.|The quick brown fox jumps over the lazy dog.
        Please wait while we connect you to an agent.|The garage in Nice closes at noon.
        Adaeze Okonkwo from Enugu won the first prize.|Send it to anna.schmidt@example.org by Friday.
        He ordered a croissant, a cappuccino and two churros.|How far dey market from here, my friend?
        Abeg, bring my food come quick quick.|Your code is 4 8 1 5.
        Kunle, abeg come chop before the food cold.
    """,
    "pt": """
        Olá|Tudo certo|Boa noite|Obrigada|Pode entrar|Estou com fome|Que horas são?|Não sei|Vamos embora
        Oi, gente
        A conta, por favor.|O café está pronto na cozinha.|Ele gosta de jogar futebol aos domingos.
        Preciso de ajuda com a minha lição de casa.|A loja abre às dez e fecha às oito.
    """,
    "es": """
        Hola|Buenas noches|Gracias|Lo siento|Tengo hambre|¿Qué hora es?|No lo sé|Vámonos|Pase usted
        Adiós, amigo
        La cuenta, por favor.|El gato duerme encima de la mesa.|Le gusta jugar al fútbol los domingos.
        Necesito ayuda con mis deberes.|La tienda abre a las diez y cierra a las ocho.
    """,
    "fr": """
        Salut|Bonsoir|Merci|Je suis désolé|J'ai faim|Quelle heure est-il ?|Je ne sais pas|On y va|Entrez
        Au revoir
        L'addition, s'il vous plaît.|Le chat dort sur la table de la cuisine.
        Il aime jouer au foot le dimanche.
        J'ai besoin d'aide pour mes devoirs.|Le magasin ouvre à dix heures et ferme à vingt heures.
    """,
    "de": """
        Hallo|Guten Abend|Danke|Es tut mir leid|Ich habe Hunger|Wie spät ist es?|Keine Ahnung|Los geht's
        Herein
        Die Rechnung, bitte.|Die Katze schläft auf dem Küchentisch.|Er spielt sonntags gerne Fußball.
        Ich brauche Hilfe bei den Hausaufgaben.|Der Laden öffnet um zehn und schließt um acht.
    """,
    "it": """
        Ciao|Buonasera|Grazie|Mi dispiace|Ho fame|Che ore sono?|Non lo so|Andiamo|Avanti|Arrivederci
        Il conto, per favore.|Il gatto dorme sul tavolo della cucina.|La domenica gli piace giocare a calcio.
        Ho bisogno di aiuto con i compiti.|Il negozio apre alle dieci e chiude alle otto.
    """,
    "nl": """
        Hallo daar|Goedenavond|Bedankt|Het spijt me|Ik heb honger|Hoe laat is het?|Geen idee|Kom binnen
        Tot ziens
        De rekening, alstublieft.|De kat slaapt op de keukentafel.|Hij voetbalt graag op zondag.
        Ik heb hulp nodig met mijn huiswerk.|De winkel gaat om tien uur open en om acht uur dicht.
    """,
    "pl": """
        Cześć|Dobry wieczór|Dziękuję|Przepraszam|Jestem głodny|Która godzina?|Nie wiem|Chodźmy|Proszę wejść
        Poproszę rachunek.|Kot śpi na stole w kuchni.|W niedzielę lubi grać w piłkę.
        Potrzebuję pomocy w lekcjach.|Sklep jest otwarty od dziesiątej do ósmej.
    """,
    "yo": """
        Báwo ni?|Ẹ káalẹ́|O ṣé|Ebi ń pa mí|Mi ò mọ̀|Ẹ wọlé|Jẹ́ ká lọ|Mo ti de ile
        Kí ni orúkọ rẹ?|Ológbò náà ń sùn lórí tábìlì.|Mo nilo iranlowo pelu ise ile-iwe mi.
        Ó fẹ́ràn láti gbá bọ́ọ̀lù ní ọjọ́ Àìkú.|Ilé ìtajà náà máa ń ṣí ní agogo mẹ́wàá.
    """,
    "ha": """
        Sannu|Barka da yamma|Nagode|Yi hakuri|Ina jin yunwa|Ban sani ba|Mu tafi|Ina gajiya
        Yaya sunanka?|Kyanwa tana barci a kan tebur.|Yana son buga kwallo ranar Lahadi.
        Ina bukatar taimako da aikin makaranta.|Ana bude kanti da karfe goma na safe.
    """,
    "ig": """
        Kedu|Ndewo nne|Imela|Ndo|Agụụ na-agụ m|Amaghị m|Ka anyị gaa|Bata n'ime
        Gịnị bụ aha gị?|Nwamba na-ehi ụra n'elu tebụl.|Ọ na-amasị ya ịgba bọọlụ n'ụbọchị ụka.
        Achọrọ m enyemaka n'ihe omume ụlọ akwụkwọ m.|A na-emeghe ụlọ ahịa n'elekere iri.
    """,
    "sw": """
        Jambo|Habari ya jioni|Shukrani|Samahani|Nina njaa|Sijui|Twende|Karibu ndani|Kwaheri rafiki
        Jina lako nani?|Paka analala juu ya meza ya jikoni.|Anapenda kucheza mpira siku ya Jumapili.
        Ninahitaji msaada wa kazi ya shule.|Duka linafunguliwa saa nne asubuhi.
    """,
    "id": """
        Halo|Selamat malam|Makasih|Maaf ya|Saya lapar|Jam berapa sekarang?|Tidak tahu|Ayo pergi|Silakan masuk
        Minta bonnya, Pak.|Kucing itu tidur di atas meja dapur.|Dia suka main bola setiap hari Minggu.
        Saya butuh bantuan mengerjakan tugas sekolah.|Toko itu buka jam sepuluh dan tutup jam delapan.
    """,
    "ru": """
        Привет|Спасибо|Как дела?|Я голоден|Добрый вечер|Кот спит на столе.|Который час?
        Он любит футбол.
    """,
    "uk": """
        Привіт|Дякую|Як справи?|Я голодний|Добрий вечір|Кіт спить на столі.|Котра година?
        Він любить футбол.
    """,
    "bg": "Здравей|Благодаря|Гладен съм|Котката спи на масата.|Колко е часът?",
    "ar": "مرحبا|شكرا|كيف حالك؟|أنا جائع|القطة تنام على الطاولة.|كم الساعة؟",
    "fa": "سلام|متشکرم|حال شما چطور است؟|گرسنه هستم|گربه روی میز خوابیده است.|ساعت چند است؟",
    "ur": "شکریہ|آپ کیسے ہیں؟|مجھے بھوک لگی ہے|بلی میز پر سو رہی ہے۔",
    "hi": "नमस्ते|शुक्रिया|आप कैसे हैं?|मुझे भूख लगी है|बिल्ली मेज़ पर सो रही है।",
    "mr": "नमस्कार|आभारी आहे|तुम्ही कसे आहात?|मला भूक लागली आहे|मांजर टेबलावर झोपले आहे.",
    "vi": "Xin chào|Cảm ơn nhiều|Tôi đói bụng rồi|Con mèo đang ngủ trên bàn bếp.|Mấy giờ rồi?",
    "tr": "Merhaba|Teşekkür ederim|Karnım aç|Kedi mutfak masasında uyuyor.|Saat kaç?",
    "sv": "Hej där|Tack så mycket|Jag är hungrig|Katten sover på köksbordet.|Vad är klockan?",
    "ro": "Bună ziua|Mulțumesc mult|Mi-e foame|Pisica doarme pe masa din bucătărie.|Cât e ceasul?",
    "cs": "Dobrý den|Děkuji moc|Mám hlad|Kočka spí na kuchyňském stole.|Kolik je hodin?",
    "fi": "Hyvää päivää|Kiitos paljon|Minulla on nälkä|Kissa nukkuu keittiön pöydällä.|Paljonko kello on?",
    "hu": "Jó napot|Köszönöm szépen|Éhes vagyok|A macska a konyhaasztalon alszik.|Hány óra van?",
}


def texts() -> list[tuple[str, str]]:
    """The language that each should be spoken in, and the text. Pidgin counts as English."""
    return [
        (tag, text.strip())
        for tag, lines in _TEXTS.items()
        for line in lines.strip().splitlines()
        for text in line.split("|")
    ]
