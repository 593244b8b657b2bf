"""Two hundred sentences of each language that the shipped voices speak beside English: ten openings with
twenty clauses. Between them they have the sounds of daily speech."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

_PARTS: Mapping[str, tuple[str, str]] = {
    "es": (
        """Esta mañana, Según mi vecina, Por lo visto, Cuando llueve, Los domingos, Desde ayer, Como siempre,
        A las ocho, En nuestro barrio, Sin ninguna duda""",
        """los niños juegan en el jardín; la cocinera prepara una sopa de pescado; el tren llega con retraso;
        mi hermano toca la guitarra; nadie contesta al teléfono; el perro duerme debajo de la mesa;
        la profesora corrige los exámenes; hay mucha gente en la plaza; el panadero abre muy temprano;
        las cigüeñas vuelven al campanario; queremos viajar a Zaragoza; el agua del río baja fría;
        alguien llama a la puerta; los jóvenes aprenden a bailar; el médico lee un libro antiguo;
        la lluvia golpea las ventanas; vendemos queso y huevos frescos; el zorro cruza el bosque;
        mi abuelo cuenta chistes viejos; la guerra quedó muy lejos""",
    ),
    "fr": (
        """Ce matin, Selon ma voisine, Depuis hier, Quand il pleut, Le dimanche, Sans aucun doute,
        Comme toujours, À huit heures, Dans notre quartier, Heureusement""",
        """les enfants jouent dans le jardin; la cuisinière prépare une soupe de poisson;
        le train arrive en retard; mon frère joue du violon; personne ne répond au téléphone;
        le chien dort sous la table; la maîtresse corrige les cahiers; un grand feu brûle dans la cheminée;
        le boulanger ouvre très tôt; les hirondelles reviennent du sud; nous voulons visiter la montagne;
        l'eau du ruisseau est fraîche; quelqu'un frappe à la porte; les jeunes apprennent à danser;
        le médecin lit un vieux journal; la pluie tombe sur les feuilles; on vend du beurre et des œufs;
        le renard traverse la campagne; mon oncle raconte une histoire drôle;
        huit cygnes nagent sur l'étang""",
    ),
    "it": (
        """Stamattina, Secondo la vicina, Da ieri, Quando piove, La domenica, Senza dubbio, Come sempre,
        Alle otto, Nel nostro quartiere, Per fortuna""",
        """i bambini giocano in giardino; la cuoca prepara una zuppa di pesce; il treno arriva in ritardo;
        mio fratello suona la chitarra; nessuno risponde al telefono; il cane dorme sotto il tavolo;
        la maestra corregge i compiti; c'è molta gente in piazza; il panettiere apre molto presto;
        le rondini tornano dal sud; vogliamo visitare la montagna; l'acqua del ruscello è fresca;
        qualcuno bussa alla porta; i ragazzi imparano a ballare; il medico legge un giornale vecchio;
        la pioggia cade sulle foglie; vendiamo formaggio e uova; la volpe attraversa il bosco;
        lo zio racconta una storia buffa; gli gnomi mangiano gnocchi e aglio""",
    ),
    "pt-BR": (
        """Hoje de manhã, Segundo a vizinha, Desde ontem, Quando chove, Aos domingos, Sem dúvida, Como sempre,
        Às oito horas, No nosso bairro, Felizmente""",
        """as crianças brincam no jardim; a cozinheira prepara uma sopa de peixe; o trem chega atrasado;
        meu irmão toca violão; ninguém atende o telefone; o cachorro dorme debaixo da mesa;
        a professora corrige as provas; tem muita gente na praça; o padeiro abre bem cedo;
        as andorinhas voltam do sul; queremos conhecer a montanha; a água do rio está fria;
        alguém bate na porta; os jovens aprendem a dançar; o médico lê um jornal velho;
        a chuva cai sobre as folhas; vendemos queijo e ovos frescos; a raposa atravessa a floresta;
        meu tio conta uma história engraçada; os pães e as maçãs são de amanhã""",
    ),
    "hi": (
        """आज सुबह, पड़ोसन के अनुसार, कल से, जब बारिश होती है, रविवार को, बिना किसी शक के, हमेशा की तरह,
        आठ बजे, हमारे मोहल्ले में, सौभाग्य से""",
        """बच्चे बगीचे में खेलते हैं; रसोइया मछली का शोरबा बनाता है; रेलगाड़ी देर से आती है;
        मेरा भाई सितार बजाता है; कोई फ़ोन नहीं उठाता; कुत्ता मेज़ के नीचे सोता है;
        अध्यापिका कॉपियाँ जाँचती है; बाज़ार में बहुत भीड़ है; दुकानदार जल्दी दुकान खोलता है;
        चिड़ियाँ दक्षिण से लौटती हैं; हम पहाड़ देखना चाहते हैं; नदी का पानी ठंडा है;
        दरवाज़े पर कोई खटखटाता है; लड़के नाचना सीखते हैं; डॉक्टर पुराना अख़बार पढ़ता है;
        पत्तों पर पानी गिरता है; हम घी और दूध बेचते हैं; लोमड़ी जंगल पार करती है;
        चाचा मज़ेदार कहानी सुनाते हैं; यज्ञ के लिए फूल और ऋतु के फल लाओ""",
    ),
}


def sentences(tag: str) -> list[str]:
    openings, clauses = (
        [" ".join(part.split()) for part in text.split(separator)]
        for text, separator in zip(_PARTS[tag], (",", ";"), strict=True)
    )
    end = "।" if tag == "hi" else "."
    return [f"{opening}, {clause}{end}" for opening, clause in product(openings, clauses)]


LANGUAGES = tuple(_PARTS)
