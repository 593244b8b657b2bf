"""Two hundred lines of dialogue in each language that Kokoro speaks: ten questions and ten other phrases,
each with ten ways to say who speaks. Each line is one sentence."""

from __future__ import annotations

from collections.abc import Mapping

_PARTS: Mapping[str, tuple[str, str, str, str]] = {
    "en": (
        """Where were you; Who told you that; Are you coming with us; What did the doctor say;
        Why is the door open; Can you hear the music; Did you pay for the coffee; How much is the ticket;
        Is anybody at home; When does the train leave""",
        """I never said that; You are late again; There is somebody outside; We have no more bread;
        Come back here; Leave the child alone; It is so cold tonight; The bridge is closed;
        Give me the letter; My brother knows everything""",
        """"{}?" she asked.|“{}?” Anna asked quietly.|'{}?' cried the old man.|"{}?" I asked, and sat down.
        |“{}?” Mrs. Hill asked.|She asked “{}?” and went on.|"{}?" —he looked up— "tell me now."
        |“{}?” asked the boy, “or not?”|‘{}?’ she whispered.|"{}...?" he began.""",
        """"{}!" she said.|“{}!” shouted the man.|'{}!' cried the girl.|"{}..." he began.|“{}…” she murmured.
        |He called "{}!" and ran.|“{}!” Tom said, and closed the door.|"{}!" answered my sister, "and now go."
        |"{}," she said.|“{},” he said with a smile.""",
    ),
    "es": (
        """Dónde estabas; Quién te dijo eso; Vienes con nosotros; Qué dijo el médico;
        Por qué está abierta la puerta;
        Oyes la música; Pagaste el café; Cuánto cuesta el billete; Hay alguien en casa;
        Cuándo sale el tren""",
        """Yo nunca dije eso; Otra vez llegas tarde; Hay alguien afuera; Ya no queda pan; Vuelve aquí;
        Deja en paz al niño; Hace mucho frío; El puente está cerrado; Dame la carta;
        Mi hermano lo sabe todo""",
        """—¿{}? —preguntó ella.|—¿{}? —dijo el hombre en voz baja.|—¿{}? – preguntó Juan.
        |«¿{}?», preguntó ella.
        |«¿{}?» dijo la niña.|"¿{}?" preguntó él.|“¿{}?”, dijo la maestra.
        |—¿{}? —quiso saber Ana, y se sentó.
        |– ¿{}? – preguntó ella.|Preguntó «¿{}?» y se fue.""",
        """—¡{}! —gritó el hombre.|—¡{}! —dijo ella, y cerró la puerta.|—{}… —murmuró él.|—{} —dijo Ana.
        |«¡{}!», gritó la niña.|"¡{}!" dijo el abuelo.|“{}…”, dijo ella.|—¡{}! – exclamó Juan.
        |—{}... —empezó a decir.
        |«¡{}!» respondió mi hermana.""",
    ),
    "fr": (
        """Où étais-tu; Qui t'a dit cela; Tu viens avec nous; Qu'a dit le médecin;
        Pourquoi la porte est ouverte;
        Tu entends la musique; Tu as payé le café; Combien coûte le billet; Il y a quelqu'un;
        Quand part le train""",
        """Je n'ai jamais dit cela; Tu es encore en retard; Il y a quelqu'un dehors;
        Nous n'avons plus de pain;
        Reviens ici; Laisse cet enfant tranquille; Il fait si froid; Le pont est fermé; Donne-moi la lettre;
        Mon frère sait tout""",
        """« {} ? » demanda-t-elle.|« {} ? » demanda l'homme à voix basse.|— {} ? demanda-t-il.
        |— {} ? dit la fillette.
        |"{} ?" demanda-t-elle.|“{} ?” dit le professeur.|«{}?» demanda Jean, et il s'assit.
        |– {} ? – demanda-t-elle.
        |Elle demanda « {} ? » et partit.|– {}? dit le garçon.""",
        """« {} ! » cria l'homme.|— {} ! s'écria-t-elle.|« {}… » murmura-t-il.|— {}… dit le vieux.
        |"{} !" dit la fillette.|“{}!” répondit ma sœur.|« {} », dit-elle.|— {}, dit-il en souriant.
        |« {}... » commença-t-il.|– {} ! – cria Jean.""",
    ),
    "it": (
        """Dove eri; Chi te l'ha detto; Vieni con noi; Cosa ha detto il medico; Perché la porta è aperta;
        Senti la musica; Hai pagato il caffè; Quanto costa il biglietto; C'è qualcuno in casa;
        Quando parte il treno""",
        """Non l'ho mai detto; Sei di nuovo in ritardo; C'è qualcuno fuori; Non abbiamo più pane; Torna qui;
        Lascia stare il bambino; Fa molto freddo; Il ponte è chiuso; Dammi la lettera;
        Mio fratello sa tutto""",
        """«{}?» chiese lei.|«{}?» domandò l'uomo a bassa voce.|— {}? — chiese lei.|– {}? – disse la bambina.
        |"{}?" chiese lui.|“{}?” disse la maestra.|«{}?», chiese Anna, e si sedette.|—{}? —chiese lei.
        |Chiese «{}?» e andò via.|- {}? - chiese il ragazzo.""",
        """«{}!» gridò l'uomo.|— {}! — esclamò lei.|«{}…» mormorò lui.|– {}… – disse il vecchio.
        |"{}!" disse la bambina.|“{}!” rispose mia sorella.|«{}», disse lei.|— {} — disse lui sorridendo.
        |«{}...» cominciò lui.|«{}!» gridò Anna, e chiuse la porta.""",
    ),
    "pt-BR": (
        """Onde você estava; Quem te disse isso; Você vem com a gente; O que disse o médico;
        Por que a porta está aberta; Você ouve a música; Você pagou o café; Quanto custa o bilhete;
        Tem alguém em casa; Quando sai o trem""",
        """Eu nunca disse isso; Você está atrasado de novo; Tem alguém lá fora; Não temos mais pão;
        Volte aqui;
        Deixe a criança em paz; Está muito frio; A ponte está fechada; Me dê a carta;
        Meu irmão sabe de tudo""",
        """— {}? — perguntou ela.|— {}? — disse o homem em voz baixa.|– {}? – perguntou João.
        |—{}? —perguntou ela.
        |"{}?" perguntou ele.|“{}?” disse a menina.|“{}?”, perguntou a professora.
        |— {}? — quis saber Ana, e sentou-se.
        |- {}? - perguntou ela.|Perguntou “{}?” e foi embora.""",
        """— {}! — gritou o homem.|— {}! — disse ela, e fechou a porta.|— {}… — murmurou ele.
        |— {} — disse Ana.
        |“{}!” gritou a menina.|"{}!" disse o avô.|“{}…”, disse ela.|– {}! – exclamou João.
        |— {}... — começou a dizer.
        |“{}!” respondeu minha irmã.""",
    ),
    "hi": (
        """तुम कहाँ थे; यह किसने कहा; क्या तुम साथ चलोगे; डॉक्टर ने क्या कहा; दरवाज़ा क्यों खुला है;
        क्या तुम गाना सुन रहे हो; चाय के पैसे किसने दिए; टिकट कितने का है; घर में कौन है; गाड़ी कब जाएगी""",
        """मैंने ऐसा नहीं कहा; तुम फिर देर से आए; बाहर कोई है; रोटी ख़त्म हो गई; यहाँ वापस आओ;
        बच्चे को छोड़ दो; बहुत ठंड है; पुल बंद है; मुझे चिट्ठी दो; मेरा भाई सब जानता है""",
        """"{}?" उसने पूछा।|“{}?” उसने धीरे से पूछा।|‘{}?’ बूढ़े आदमी ने पूछा।|“{}?” राम ने पूछा, और बैठ गया।
        |- {}? - उसने पूछा।|“{}?” लड़की ने कहा।|"{}?" अध्यापिका ने पूछा।|उसने “{}?” पूछा और चली गई।
        |— {}? — राम ने पूछा।|“{}?” माँ बोली।""",
        """"{}!" वह चिल्लाया।|“{}!” उसने कहा।|“{}…” वह बोला।|‘{}!’ लड़की चिल्लाई।
        |“{}!” उसने कहा, और दरवाज़ा बंद किया।
        |"{}..." उसने धीरे से कहा।|“{},” माँ ने कहा।|— {}! — आदमी चिल्लाया।|“{}!” मेरी बहन ने जवाब दिया।
        |“{}…” बूढ़ा बोला।""",
    ),
}
TAGS = tuple(_PARTS)


def lines(tag: str) -> list[str]:
    questions, others, asked, said = _PARTS[tag]
    return [
        " ".join(frame.split()).format(" ".join(phrase.split()))
        for phrases, frames in ((questions, asked), (others, said))
        for phrase in phrases.split(";")
        for frame in frames.split("|")
    ]
