"""Sentences of daily life, by language, that no rule was tuned on: they only say how good the detectors are.

Written before the rules were tried on them; what fails here stays, and is never a reason to change a rule.
"""

from typing import NamedTuple


class Sample(NamedTuple):
    language: str
    text: str
    is_short: bool


_LONG = {
    "en": """
        The bus to the airport leaves every twenty minutes from the main square.
        Could you please turn down the music, the baby is asleep?
        I forgot my umbrella at the office again.
        Your order number 48213 will arrive on Tuesday before 6 pm.
        Chidinma and Tunde are flying from Lagos to Accra tomorrow morning.
        For more details visit https://example.com/help or call 555 0134.
        We ran out of milk, so I had my coffee black.
        My grandmother taught me how to bake bread when I was seven.
        The meeting with João Pereira has been moved to room 12.
        Turn left after the bridge and drive on for two kilometres.
    """,
    "pt": """
        Amanhã vou ao mercado comprar frutas e legumes para a semana.
        Você pode me ligar depois das seis da tarde?
        O ônibus atrasou meia hora por causa da chuva.
        Seu pedido 90417 foi enviado e chega na sexta-feira.
        Minha avó mora em Recife e faz o melhor bolo de milho da família.
        Acesse https://exemplo.com.br/ajuda para trocar a sua senha.
        Estamos procurando um apartamento com dois quartos perto do centro.
        O John e a Mary chegaram de Londres ontem à noite.
        Não se esqueça de fechar as janelas antes de sair.
        A reunião começa às 9h30 na sala 4.
    """,
    "es": """
        Mañana tenemos que levantarnos temprano para coger el tren.
        ¿Me puedes traer un vaso de agua, por favor?
        El perro de los vecinos ladró toda la noche.
        Su pedido 33750 llegará el jueves antes de las cinco.
        Mi hermana vive en Guadalajara y trabaja en un hospital.
        Visite https://ejemplo.es/ayuda para cambiar su contraseña.
        Se nos acabó el pan, así que cenamos arroz.
        Peter y Susan vienen de Mánchester a pasar el verano.
        No olvides apagar la luz cuando salgas de la cocina.
        La cita con el dentista es el 14 de marzo a las 10:45.
    """,
    "fr": """
        Le train de huit heures a encore du retard ce matin.
        Est-ce que tu peux passer à la boulangerie en rentrant ?
        Nous avons perdu les clés de la voiture sur la plage.
        Votre commande 61208 sera livrée mercredi avant midi.
        Ma voisine vient de Dakar et parle quatre langues.
        Rendez-vous sur https://exemple.fr/aide pour changer votre mot de passe.
        Il fait trop froid pour manger sur la terrasse aujourd'hui.
        William et Kate arrivent de Londres par le train de 19 h 12.
        N'oublie pas de sortir la poubelle avant de te coucher.
        Mon fils apprend à jouer du piano depuis deux ans.
    """,
    "de": """
        Der Zug nach Hamburg hat heute zehn Minuten Verspätung.
        Kannst du bitte auf dem Heimweg noch Brot kaufen?
        Wir haben den ganzen Nachmittag im Garten gearbeitet.
        Ihre Bestellung 77154 wird am Montag bis 14 Uhr geliefert.
        Meine Tante wohnt in Köln und fährt jeden Tag mit dem Fahrrad.
        Unter https://beispiel.de/hilfe können Sie Ihr Passwort ändern.
        Es regnet, also nehmen wir lieber den Bus.
        James und Emily kommen am Wochenende aus London zu Besuch.
        Vergiss nicht, das Fenster zu schließen, bevor du gehst.
        Der Termin beim Zahnarzt ist am 3. Mai um 9 Uhr 15.
    """,
    "it": """
        Domani mattina dobbiamo alzarci presto per prendere l'aereo.
        Puoi comprare il latte quando torni dal lavoro?
        Ieri sera abbiamo mangiato una pizza buonissima vicino al porto.
        Il suo ordine 20963 arriverà giovedì prima delle 18.
        Mio nonno abita a Palermo e coltiva limoni.
        Vai su https://esempio.it/aiuto per cambiare la password.
        Fa troppo caldo per uscire a quest'ora.
        Tom e Sarah arrivano da Manchester con il volo delle 21.
        Non dimenticare di chiudere la porta a chiave.
        La riunione è stata spostata alle 11.30 nella sala 2.
    """,
    "nl": """
        Morgen moeten we vroeg opstaan om de trein te halen.
        Kun je op weg naar huis nog even brood kopen?
        De kinderen hebben de hele middag in de tuin gespeeld.
        Uw bestelling 54880 wordt dinsdag voor vijf uur bezorgd.
        Mijn oom woont in Utrecht en gaat altijd met de fiets naar zijn werk.
        Ga naar https://voorbeeld.nl/hulp om uw wachtwoord te wijzigen.
        Het regent zo hard dat we maar binnen blijven.
        David en Rachel komen vrijdag uit Londen op bezoek.
        Vergeet niet het licht uit te doen als je weggaat.
        De afspraak bij de tandarts is op 8 juni om kwart over tien.
    """,
    "pl": """
        Jutro musimy wcześnie wstać, żeby zdążyć na pociąg.
        Czy możesz kupić chleb, wracając z pracy?
        Dzieci bawiły się w ogrodzie przez całe popołudnie.
        Pana zamówienie 18342 zostanie dostarczone w środę przed południem.
        Moja ciocia mieszka w Krakowie i uczy matematyki.
        Wejdź na https://przyklad.pl/pomoc, aby zmienić hasło.
        Pada deszcz, więc zostajemy dzisiaj w domu.
        Michael i Jessica przylatują z Londynu w sobotę o 17:20.
        Nie zapomnij zamknąć okna przed wyjściem.
        Wizyta u dentysty jest 12 maja o dziewiątej.
    """,
    "th": """
        พรุ่งนี้เราต้องตื่นเช้าเพื่อไปขึ้นรถไฟ
        ช่วยซื้อนมกลับบ้านให้หน่อยได้ไหมคะ
        เมื่อวานฝนตกหนักมากจนน้ำท่วมถนน
        สินค้าหมายเลข 40921 จะส่งถึงวันพุธก่อนเที่ยง
        คุณยายของฉันอยู่ที่เชียงใหม่และทำอาหารอร่อยมาก
        เข้าไปที่ https://example.co.th/help เพื่อเปลี่ยนรหัสผ่าน
        วันนี้อากาศร้อนเกินไปที่จะออกไปข้างนอก
        David กับ Sarah จะมาถึงสนามบินตอนสามทุ่ม
        อย่าลืมปิดไฟก่อนออกจากห้อง
        ประชุมเลื่อนไปเป็นเวลา 10.30 น. ที่ห้อง 5
    """,
    "zh": """
        明天我们要早起赶火车。
        你下班回家的时候能买点牛奶吗？
        昨天晚上下了一整夜的雨。
        您的订单48210将在星期三中午之前送达。
        我奶奶住在成都，她做的菜特别好吃。
        请访问 https://example.cn/help 修改您的密码。
        今天太热了，我们别出去了。
        David 和 Sarah 星期五从伦敦飞过来。
        出门之前别忘了关窗户。
        会议改到上午十点半，在三号会议室。
    """,
    "ja": """
        明日は電車に乗るために早く起きなければなりません。
        帰りに牛乳を買ってきてくれませんか。
        昨日の夜はずっと雨が降っていました。
        ご注文番号 30571 は水曜日の午前中に届きます。
        祖母は京都に住んでいて、料理がとても上手です。
        パスワードの変更は https://example.jp/help をご覧ください。
        今日は暑すぎて外に出られません。
        David と Sarah は金曜日にロンドンから来ます。
        出かける前に窓を閉めるのを忘れないでね。
        会議は午前十時半に変更になりました。
    """,
    "yo": """
        Mo fẹ́ lọ sí ọjà láti ra ẹja àti ẹ̀fọ́.
        Ṣé o lè bá mi ra omi nígbà tí o bá ń bọ̀?
        Òjò rọ̀ gan-an ní alẹ́ àná.
        Ìyá mi ń gbé ní Ìbàdàn, ó sì máa ń se oúnjẹ dáadáa.
        Àwọn ọmọ náà ń ṣeré ní ìta láti àárọ̀.
        Ẹ jọ̀wọ́ ẹ lọ sí https://example.ng/iranlowo fún àlàyé sí i.
        Ọkọ̀ yóò gbéra ní agogo mẹ́jọ òwúrọ̀ ọ̀la.
        David àti Sarah ń bọ̀ láti London ní ọjọ́ Ẹtì.
        Má gbàgbé láti ti ilẹ̀kùn kí o tó jáde.
        A ti sún ìpàdé náà sí agogo mẹ́wàá ní yàrá 3.
    """,
    "ha": """
        Gobe za mu tashi da wuri domin mu kama motar safe.
        Don Allah ka sayo min madara idan kana dawowa gida.
        Jiya da dare an yi ruwan sama mai yawa.
        Kakata tana zaune a Kano kuma tana iya girki sosai.
        Yara suna wasa a waje tun da safe.
        Ka shiga https://example.ng/taimako domin canza kalmar sirri.
        Kayan da ka saya mai lamba 2204 zai iso ranar Laraba.
        David da Sarah za su zo daga London ranar Jumma'a.
        Kada ka manta ka rufe kofa kafin ka fita.
        Yau akwai zafi sosai, ba za mu fita ba.
    """,
    "ig": """
        Echi anyị ga-ebili n'isi ụtụtụ ka anyị banye ụgbọ ala.
        Biko zụtara m mmiri mgbe ị na-alọta.
        Mmiri zoro nnukwu n'abalị ụnyaahụ.
        Nne m nne bi n'Enugu, ọ na-esi nri nke ọma.
        Ụmụaka na-egwu egwu n'èzí kemgbe ụtụtụ.
        Gaa na https://example.ng/enyemaka ka ị gbanwee okwuntughe gị.
        Ngwa ahịa gị nke nọmba 5310 ga-abịa na Wenezde.
        David na Sarah si London na-abịa na Fraịdee.
        Echefula imechi ọnụ ụzọ tupu ị pụọ.
        Taa anwụ na-acha nke ukwuu, anyị agaghị apụ.
    """,
    "sw": """
        Kesho tutaamka mapema ili tuwahi basi la asubuhi.
        Tafadhali ninunulie maziwa ukirudi nyumbani.
        Jana usiku mvua kubwa ilinyesha mjini.
        Bibi yangu anaishi Mombasa na anapika chakula kizuri sana.
        Watoto wanacheza nje tangu asubuhi.
        Tembelea https://example.co.ke/msaada ili kubadilisha nenosiri lako.
        Oda yako namba 61840 itafika Jumatano kabla ya saa sita.
        David na Sarah wanakuja kutoka London siku ya Ijumaa.
        Usisahau kufunga mlango kabla ya kuondoka.
        Leo kuna joto kali, hatutoki nje.
    """,
    "id": """
        Besok kita harus bangun pagi supaya tidak ketinggalan kereta.
        Tolong belikan susu kalau kamu pulang nanti.
        Tadi malam hujan turun deras sekali di kota ini.
        Pesanan Anda nomor 70425 akan tiba hari Rabu sebelum siang.
        Nenek saya tinggal di Surabaya dan pandai memasak.
        Kunjungi https://contoh.co.id/bantuan untuk mengganti kata sandi.
        Anak-anak bermain di halaman sejak pagi.
        David dan Sarah akan datang dari London pada hari Jumat.
        Jangan lupa menutup jendela sebelum pergi.
        Rapat dipindahkan ke pukul setengah sebelas di ruang 4.
    """,
    "ru": """
        Завтра нам нужно рано встать, чтобы успеть на поезд.
        Купи, пожалуйста, молоко по дороге домой.
        Не забудь закрыть окно перед уходом.
        Моя бабушка живёт в Казани и вкусно готовит.
    """,
    "uk": """
        Завтра нам треба рано встати, щоб встигнути на потяг.
        Купи, будь ласка, молоко дорогою додому.
        Не забудь зачинити вікно перед виходом.
        Моя бабуся живе у Львові й смачно готує.
    """,
    "ar": """
        علينا أن نستيقظ باكرا غدا لكي نلحق بالقطار.
        لا تنس أن تغلق النافذة قبل أن تخرج.
        تسكن جدتي في الإسكندرية وتطبخ طعاما لذيذا.
    """,
    "fa": """
        فردا باید زود بیدار شویم تا به قطار برسیم.
        یادت نرود پیش از رفتن پنجره را ببندی.
        مادربزرگم در شیراز زندگی می‌کند و آشپزی‌اش خیلی خوب است.
    """,
    "hi": """
        कल हमें ट्रेन पकड़ने के लिए जल्दी उठना होगा।
        जाने से पहले खिड़की बंद करना मत भूलना।
        मेरी दादी जयपुर में रहती हैं और बहुत अच्छा खाना बनाती हैं।
    """,
}

_SHORT = {
    "en": "Good morning, everyone|See you later|Thanks|Your taxi is here|Door is open|Happy birthday, Maria",
    "pt": "Bom dia|Muito obrigado|Até amanhã|Tudo bem com você?|Feche a porta|Parabéns, Ana",
    "es": "Buenos días|Muchas gracias|Hasta luego|¿Dónde está el baño?|Ya voy|Feliz cumpleaños, Lucía",
    "fr": "Bonjour à tous|Merci beaucoup|À demain|Où est la gare ?|Bonne nuit|Joyeux anniversaire, Paul",
    "de": "Guten Morgen|Vielen Dank|Bis später|Wo ist der Bahnhof?|Ich komme gleich|Alles Gute, Anna",
    "it": "Buongiorno a tutti|Grazie mille|A domani|Dov'è la stazione?|Arrivo subito|Tanti auguri, Giulia",
    "nl": "Goedemorgen allemaal|Dank je wel|Tot straks|Waar is het station?|Ik kom eraan|"
    "Gefeliciteerd, Sanne",
    "pl": "Dzień dobry|Dziękuję bardzo|Do zobaczenia|Gdzie jest dworzec?|Już idę|"
    "Wszystkiego najlepszego, Kasiu",
    "th": "สวัสดีค่ะ|ขอบคุณมากครับ|เจอกันพรุ่งนี้|ห้องน้ำอยู่ที่ไหน|ราตรีสวัสดิ์|สุขสันต์วันเกิดนะแนน",
    "zh": "早上好|非常感谢|明天见|洗手间在哪里？|晚安|生日快乐，小美",
    "ja": "おはようございます|ありがとう|また明日|トイレはどこですか|おやすみなさい|誕生日おめでとう、ゆき",
    "yo": "Ẹ káàárọ̀|Ẹ ṣé púpọ̀|Ó dàbọ̀|Báwo ni o ṣe wà?|Mo ń bọ̀|Ẹ kú ọjọ́ ìbí, Tolu",
    "ha": "Ina kwana|Na gode sosai|Sai gobe|Ina bayan gida yake?|Ga ni nan zuwa|Barka da zuwa, Aisha",
    "ig": "Ụtụtụ ọma|Daalụ nnukwu|Ka ọ dị|Kedu ka ị mere?|Ana m abịa|Nnọọ, Ngozi",
    "sw": "Habari za asubuhi|Asante sana|Tutaonana kesho|Choo kiko wapi?|Ninakuja sasa|Hongera sana, Juma",
    "id": "Selamat pagi|Terima kasih banyak|Sampai jumpa besok|Di mana kamar kecil?|Saya segera datang|"
    "Ada apa?",
    "ru": "Доброе утро|Большое спасибо|До завтра",
    "uk": "Доброго ранку|Дуже дякую|До побачення",
    "ar": "صباح الخير|شكرا جزيلا|إلى اللقاء",
    "fa": "صبح بخیر|خیلی ممنون|خداحافظ",
    "hi": "नमस्ते जी|बहुत धन्यवाद|कल मिलते हैं",
}


def samples() -> list[Sample]:
    """The short ones have one to four words, or what says as much where words are not spaced."""
    long = [
        Sample(tag, line.strip(), False) for tag, text in _LONG.items() for line in text.strip().splitlines()
    ]
    short = [Sample(tag, text, True) for tag, texts in _SHORT.items() for text in texts.split("|")]
    return long + short
