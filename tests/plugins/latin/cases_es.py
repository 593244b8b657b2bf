"""What a Spanish speaker says, rule by rule; `|` is between sentences. `REGIONS`: where countries differ."""

from __future__ import annotations

CASES: dict[str, tuple[tuple[str, str], ...]] = {
    "cardinals": (
        ("Tengo 16 libros.", "Tengo dieciséis libros."),
        ("Hay 1.234 páginas.", "Hay mil doscientas treinta y cuatro páginas."),
        ("Son 2.000.000 de votos.", "Son dos millones de votos."),
        ("Somos 101.", "Somos ciento uno."),
        ("Había 100 plazas para 21.000 personas.", "Había cien plazas para veintiún mil personas."),
        ("El agente 007 volvió.", "El agente cero cero siete volvió."),
        ("Nació en 1984.", "Nació en mil novecientos ochenta y cuatro."),
    ),
    "gender": (
        ("Espere 1 hora.", "Espere una hora."),
        ("Faltan 21 horas.", "Faltan veintiuna horas."),
        ("Tiene 21 años y 1 hijo.", "Tiene veintiún años y un hijo."),
        (
            "Vinieron 200 personas y 31 días pasaron.",
            "Vinieron doscientas personas y treinta y un días pasaron.",
        ),
        ("Elija 1 o 2.", "Elija uno o dos."),
        ("Lea la página 1.", "Lea la página uno."),
        ("La página 1 trata de eso, y el 21 corre.", "La página uno trata de eso, y el veintiuno corre."),
        ("Hay 500 ciudades y 500 sistemas.", "Hay quinientas ciudades y quinientos sistemas."),
    ),
    "decimals": (
        ("Pi es 3,14.", "Pi es tres coma catorce."),
        ("Dio 0,05.", "Dio cero coma cero cinco."),
        ("Mide 1.234,5 metros.", "Mide mil doscientos treinta y cuatro coma cinco metros."),
        ("La versión 2.5 salió.", "La versión dos punto cinco salió."),
    ),
    "negatives": (
        ("Hoy hace -5 °C.", "Hoy hace menos cinco grados Celsius."),
        ("De -3 a 4.", "De menos tres a cuatro."),
    ),
    "ordinals": (
        ("Vive en el 1.er piso.", "Vive en el primer piso."),
        ("Es la 2.ª vez.", "Es la segunda vez."),
        ("Quedó en 3º lugar.", "Quedó en tercer lugar."),
        ("La 21ª edición.", "La vigésima primera edición."),
        ("El 11.º capítulo.", "El undécimo capítulo."),
    ),
    "roman numerals": (
        ("Fue en el siglo XX.", "Fue en el siglo veinte."),
        ("Roma, siglo V a. C.", "Roma, siglo quinto antes de Cristo."),
        ("La II Guerra Mundial acabó.", "La segunda Guerra Mundial acabó."),
        ("Lea el capítulo IV.", "Lea el capítulo cuatro."),
        ("La reina Isabel II y el CD.", "La reina Isabel II y el CD."),
    ),
    "dates": (
        ("Nací el 12/11/2026.", "Nací el doce de noviembre de dos mil veintiséis."),
        ("El 2026-11-20 abre.", "El veinte de noviembre de dos mil veintiséis abre."),
        ("Hasta el 20 de nov. de 1999.", "Hasta el veinte de noviembre de mil novecientos noventa y nueve."),
        ("El 1/5/2025 es fiesta.", "El primero de mayo de dos mil veinticinco es fiesta."),
        ("El 25/12 cerramos.", "El veinticinco de diciembre cerramos."),
        ("No existe el 31/13/2020.", "No existe el 31/13/2020."),
    ),
    "times": (
        ("La clase es a las 14:30.", "La clase es a las catorce treinta."),
        ("Llego a la 1:15.", "Llego a la una quince."),
        ("Abre a las 9:00 h.", "Abre a las nueve horas."),
        ("Cierra a las 21:05.", "Cierra a las veintiuna y cinco."),
        ("De 9:00–17:00.", "De nueve horas a diecisiete horas."),
        ("Sale a las 2:30 p. m. de hoy.", "Sale a las dos treinta de la tarde de hoy."),
        ("Llega a las 10:00 p.m.", "Llega a las diez de la noche."),
    ),
    "money": (
        ("Cuesta 1.234,50 €.", "Cuesta mil doscientos treinta y cuatro euros con cincuenta céntimos."),
        ("¡Solo 1 €!", "¡Solo un euro!"),
        ("Cuesta 21 €.", "Cuesta veintiún euros."),
        ("Pague $5,99.", "Pague cinco dólares con noventa y nueve centavos."),
        ("Ganó US$ 2 millones.", "Ganó dos millones de dólares."),
        ("Un premio de $ 1.000.000.", "Un premio de un millón de dólares."),
        ("Gastó 5 mil pesos.", "Gastó cinco mil pesos."),
        ("Debe £1 y ₦500.", "Debe una libra y quinientas nairas."),
        ("Vale 0,50 €.", "Vale cincuenta céntimos."),
        ("De 10-20 €.", "De diez a veinte euros."),
    ),
    "percent": (
        ("Subió un 3,5 %.", "Subió un tres coma cinco por ciento."),
        ("Del 10% al 100%.", "Del diez por ciento al cien por ciento."),
    ),
    "units": (
        ("Corrí 10 km a 12 km/h.", "Corrí diez kilómetros a doce kilómetros por hora."),
        ("Pesa 1 kg y mide 2 m².", "Pesa un kilo y mide dos metros cuadrados."),
        ("Son 21 t de arena.", "Son veintiuna toneladas de arena."),
        ("Caben 1,5 L o 500ml.", "Caben uno coma cinco litros o quinientos mililitros."),
        ("Un disco de 512 GB.", "Un disco de quinientos doce gigabytes."),
    ),
    "phones": (
        (
            "Llame al tel. 912 345 678.",
            "Llame al teléfono nueve uno dos, tres cuatro cinco, seis siete ocho.",
        ),
        (
            "Es el +34 612 345 678.",
            "Es el más tres cuatro, seis uno dos, tres cuatro cinco, seis siete ocho.",
        ),
    ),
    "fractions": (
        ("Use 1/2 taza.", "Use media taza."),
        ("Quedan 3/4 del camino.", "Quedan tres cuartos del camino."),
        ("Son 2 1/2 kilos.", "Son dos kilos y medio."),
        ("Es 1/3 del total.", "Es un tercio del total."),
    ),
    "ranges": (
        ("Lea 10-20 páginas.", "Lea diez a veinte páginas."),
        ("La guerra de 1914–1918.", "La guerra de mil novecientos catorce a mil novecientos dieciocho."),
        ("De 10-20 km.", "De diez a veinte kilómetros."),
    ),
    "abbreviations": (
        ("El Dr. Ruiz y la Dra. Gil.", "El doctor Ruiz y la doctora Gil."),
        ("Vivo en la Av. Mayor, n.º 100. ¡Ven!", "Vivo en la avenida Mayor, número cien. | ¡Ven!"),
        ("Está en C/ Mayor, núm. 5.", "Está en calle Mayor, número cinco."),
        ("Trajo pan, leche, etc. Luego salió.", "Trajo pan, leche, etcétera. | Luego salió."),
        ("Frutas, p. ej. uvas.", "Frutas, por ejemplo uvas."),
        ("Vive en EE. UU. desde ayer.", "Vive en Estados Unidos desde ayer."),
        ("¿Cómo está Ud., Sra. Gil?", "¿Cómo está usted, señora Gil?"),
    ),
    "names": (
        ("El Sr. D. Juan vino. Fin.", "El señor D. Juan vino. | Fin."),
        ("El s. XX y el cap. IV.", "El siglo veinte y el capítulo cuatro."),
        ("Hubo 12 345 personas.", "Hubo doce mil trescientas cuarenta y cinco personas."),
        ("Llama al 612 345 678.", "Llama al seis uno dos, tres cuatro cinco, seis siete ocho."),
        ("Son 2 mil millones.", "Son dos mil millones."),
        ("Cuesta $5 mil millones.", "Cuesta cinco mil millones de dólares."),
        ("Del 1/5 al 10/5.", "Del primero de mayo al diez de mayo."),
        ("Use 1/2 t y 1 1/2 horas.", "Use media tonelada y una hora y media."),
        ("El 1% o el 21%.", "El uno por ciento o el veintiuno por ciento."),
        ("Había 231.000 personas.", "Había doscientas treinta y un mil personas."),
    ),
    "left alone": (
        ("Vea https://example.com/a?b=1.5 o a@b.com.es.", "Vea https://example.com/a?b=1.5 o a@b.com.es."),
        ("El GPT-4, el MP3 y la COVID-19.", "El GPT-4, el MP3 y la COVID-19."),
        ("Instale la 2.0.1 ya.", "Instale la 2.0.1 ya."),
        ("Abre 24/7.", "Abre veinticuatro siete."),
    ),
}

REGIONS: tuple[tuple[str, str, str], ...] = (
    ("es-MX", "Cuesta $1,234.50.", "Cuesta mil doscientos treinta y cuatro pesos con cincuenta centavos."),
    ("es-ES", "El 1/5/2025.", "El uno de mayo de dos mil veinticinco."),
    ("es-AR", "Son $ 1.500.", "Son mil quinientos pesos."),
)
