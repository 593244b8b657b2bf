"""Twenty sentences of daily life in each language, some with numbers, times and money. Commands measure with
them how well a voice is heard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from policies.language import base_tag

_TEXTS: Mapping[str, str] = {
    "en": """
The children are playing in the garden behind the house.|My brother lost his keys on the way to the station.
She always reads the newspaper before she goes to work.|Nobody answered the door, so we went home again.
The baker opens early, even when it rains in the morning.|Please put the heavy boxes on the kitchen table.
We walked along the river until the sun went down.|Her grandmother tells the same story every winter.
The doctor will see you now, but please wait outside.|An old friend of mine has moved to the mountains.
The light in the hall was left on all night.|I would rather stay here than drive through the snow.
Do you know why the shop is closed today?|They planted three apple trees near the bridge.
The train leaves at 7:45 and arrives at noon.|Lunch for two people costs $32.50 with coffee.
The museum has 1,204 paintings on four floors.|Our next meeting is on March 3, 2027.
It was 25 degrees yesterday and much colder today.|About 60% of the seats were already taken.""",
    "es": """
Los niños juegan en el jardín detrás de la casa.|Mi hermano perdió las llaves camino de la estación.
Ella siempre lee el periódico antes de ir al trabajo.|Nadie abrió la puerta, así que volvimos a casa.
El panadero abre muy temprano aunque llueva.|Pon las cajas pesadas sobre la mesa de la cocina.
Caminamos junto al río hasta la puesta del sol.|Su abuela cuenta la misma historia cada invierno.
El médico la atenderá ahora, pero espere fuera.|Un viejo amigo mío se ha mudado a las montañas.
La luz del pasillo estuvo encendida toda la noche.|Prefiero quedarme aquí que conducir con nieve.
¿Sabes por qué está cerrada la tienda hoy?|Plantaron tres manzanos cerca del puente.
El tren sale a las 7:45 y llega al mediodía.|La comida para dos cuesta 32,50 € con café.
El museo tiene 1204 cuadros en cuatro plantas.|La próxima reunión es el 3 de marzo de 2027.
Ayer hubo 25 grados y hoy hace mucho más frío.|El 60 % de los asientos ya estaba ocupado.""",
    "fr": """
Les enfants jouent dans le jardin derrière la maison.|Mon frère a perdu ses clés en allant à la gare.
Elle lit toujours le journal avant d'aller au travail.|Personne n'a ouvert, alors nous sommes rentrés.
Le boulanger ouvre très tôt, même quand il pleut.|Posez les cartons lourds sur la table de la cuisine.
Nous avons marché le long du fleuve jusqu'au soir.|Sa grand-mère raconte la même histoire chaque hiver.
Le médecin va vous recevoir, attendez dans le couloir.|Un vieil ami à moi a déménagé à la montagne.
La lumière du couloir est restée allumée toute la nuit.|Je préfère rester ici plutôt que de conduire.
Savez-vous pourquoi le magasin est fermé aujourd'hui ?|Ils ont planté trois pommiers près du pont.
Le train part à 7 h 45 et arrive à midi.|Le déjeuner pour deux coûte 32,50 € avec le café.
Le musée possède 1204 tableaux sur quatre étages.|La prochaine réunion est le 3 mars 2027.
Il faisait 25 degrés hier et bien plus froid ce matin.|Déjà 60 % des places étaient prises.""",
    "it": """
I bambini giocano nel giardino dietro la casa.|Mio fratello ha perso le chiavi andando alla stazione.
Lei legge sempre il giornale prima di andare al lavoro.|Nessuno ha aperto, quindi siamo tornati a casa.
Il panettiere apre molto presto anche quando piove.|Metti le scatole pesanti sul tavolo della cucina.
Abbiamo camminato lungo il fiume fino al tramonto.|Sua nonna racconta la stessa storia ogni inverno.
Il medico la riceve adesso, ma aspetti fuori.|Un mio vecchio amico si è trasferito in montagna.
La luce del corridoio è rimasta accesa tutta la notte.|Preferisco restare qui che guidare nella neve.
Sai perché il negozio è chiuso oggi?|Hanno piantato tre meli vicino al ponte.
Il treno parte alle 7:45 e arriva a mezzogiorno.|Il pranzo per due costa 32,50 € con il caffè.
Il museo ha 1204 quadri su quattro piani.|La prossima riunione è il 3 marzo 2027.
Ieri c'erano 25 gradi e oggi fa molto più freddo.|Il 60% dei posti era già occupato.""",
    "pt": """
As crianças brincam no jardim atrás da casa.|Meu irmão perdeu as chaves a caminho da estação.
Ela sempre lê o jornal antes de ir para o trabalho.|Ninguém abriu a porta, então voltamos para casa.
O padeiro abre muito cedo, mesmo quando chove.|Ponha as caixas pesadas sobre a mesa da cozinha.
Caminhamos ao longo do rio até o sol se pôr.|A avó dela conta a mesma história todo inverno.
O médico vai atender a senhora, mas espere lá fora.|Um velho amigo meu se mudou para as montanhas.
A luz do corredor ficou acesa a noite toda.|Prefiro ficar aqui a dirigir na neve.
Você sabe por que a loja está fechada hoje?|Eles plantaram três macieiras perto da ponte.
O trem sai às 7h45 e chega ao meio-dia.|O almoço para dois custa R$ 32,50 com café.
O museu tem 1204 quadros em quatro andares.|A próxima reunião é no dia 3 de março de 2027.
Ontem fez 25 graus e hoje está muito mais frio.|Cerca de 60% dos lugares já estavam ocupados.""",
}


def proof_sentences(language: str) -> Sequence[str]:
    """Return the sentences of a language, or none."""
    return [
        each for line in _TEXTS.get(base_tag(language), "").split("\n") for each in line.split("|") if each
    ]


LANGUAGES = tuple(_TEXTS)
