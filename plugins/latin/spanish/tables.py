"""The short forms of Spanish, and the words for them: money, units, abbreviations."""

from __future__ import annotations

from plugins.latin.language import (
    Currency,
    Nouns,
    Tables,
    currencies,
    larges,
    signs,
    table,
    units,
    with_plurals,
    words,
)

PESO = Currency("peso", "pesos", "centavo", "centavos")

TABLES = Tables(
    currencies=currencies(
        "$ US$ U$S USD = dólar(|es), centavo(|s); € EUR euro euros = euro(|s), céntimo(|s); "
        "£ GBP = f libra(|s), penique(|s); ₦ NGN = f naira(|s), kobo(|s); ¥ JPY = yen(|es), sen(|es); "
        "R$ BRL = real(|es), centavo(|s); MXN ARS COP CLP = peso(|s), centavo(|s); "
        "CAD = dólar(|es) canadiense(|s), centavo(|s); AUD = dólar(|es) australiano(|s), centavo(|s); "
        "CHF = franco(|s) suizo(|s), céntimo(|s); CNY = yuan(|es), fen(|s)"
    ),
    larges=larges(
        "mil k = n mil; millón millones M = mill(ón|ones); billón billones = bill(ón|ones); "
        "mil_millones = mil millones"
    ),
    units=units(
        "% = n por ciento; km = kilómetro(|s); m = metro(|s); cm = centímetro(|s); mm = milímetro(|s); "
        "km/h = kilómetro(|s) por hora; m/s = metro(|s) por segundo; m² = metro(|s) cuadrado(|s); "
        "km² = kilómetro(|s) cuadrado(|s); m³ = metro(|s) cúbico(|s); ha = f hectárea(|s); "
        "t = f tonelada(|s); kg Kg = kilo(|s); g = gramo(|s); mg = miligramo(|s); L l = litro(|s); "
        "h = f hora(|s); l/100_km = litro(|s) a los cien kilómetros; cda cdas = f cucharada(|s); "
        "cdta cdtas = f cucharadita(|s); ml mL = mililitro(|s); °C ºC = grado(|s) Celsius; "
        "°F = grado(|s) Fahrenheit; ° = grado(|s); kB KB = kilobyte(|s); MB = megabyte(|s); "
        "GB = gigabyte(|s); TB = terabyte(|s); Hz = hercio(|s); kHz = kilohercio(|s); "
        "MHz = megahercio(|s); GHz = gigahercio(|s); W = vatio(|s); kW = kilovatio(|s); "
        "kWh = kilovatio(|s) hora; V = voltio(|s); dB = decibelio(|s); min = minuto(|s); "
        "s seg = segundo(|s); ms = milisegundo(|s)"
    ),
    words=table(
        "24/7 = veinticuatro siete; EEUU = Estados Unidos; & = y; ± = más o menos; Dª D.ª = doña; "
        ".NET = punto NET; CO2 = C O dos; C# = C sharp; IPv6 = I P V seis; s/n = sin número; "
        "L-V = lunes a viernes; L-J = lunes a jueves; L-S = lunes a sábado; L-D = lunes a domingo; "
        "S-D = sábado y domingo; C/ c/ = calle"
    ),
    titles=table(
        "Dr = doctor; Dres = doctores; Dra = doctora; Sr = señor; Sres = señores; Sra = señora; "
        "Sras = señoras; Srta = señorita; Prof = profesor; Profa = profesora; Ing = ingeniero; "
        "Lic = licenciado; Arq = arquitecto; Gral = general; Dña = doña; Sto = santo; Sta = santa; "
        "Av av Avda = avenida; Pza = plaza; Ctra = carretera; p.ej P.ej = por ejemplo; Hno = hermano; "
        "Hnos = hermanos; vs = versus; aprox = aproximadamente; s = siglo; cap Cap = capítulo"
    ),
    closings=table(
        "etc = etcétera; EE.UU = Estados Unidos; Ud Vd = usted; Uds Vds = ustedes; Ltda = limitada; "
        "Cía = compañía; a.C = antes de Cristo; izq = izquierda; dcha = derecha; p.e = por ejemplo; "
        "d.C = después de Cristo; dpto = departamento; tel Tel tfno = teléfono"
    ),
    labels=table(
        "n.º N.º nº Nº n° N° núm. Núm. no. No. = número; p. pág. Pág. = página; págs. = páginas; "
        "ss. = siglos; inc. = inciso; esc. = escalera; cap. = capítulo; vol. Vol. = volumen; "
        "art. Art. = artículo; Fig. fig. = figura"
    ),
    signs=signs(
        "cerca de|aproximadamente|por|por|igual a|mayor que|menor que|entre|de|veces|por|al cuadrado|"
        "al cubo|arroba|punto|barra|guion|guion bajo|dos puntos|interrogación|y|almohadilla|por ciento|"
        "más"
    ),
)

NOUNS = Nouns(
    feminine_endings=(
        *("a", "as", "ción", "ciones", "sión", "siones", "dad", "dades", "tud", "tudes", "umbre", "umbres"),
    ),
    feminine=with_plurals(
        "vez mujer noche tarde parte llave flor madre calle clase ley luz voz fuente red mano nube torre "
        "base fase frase imagen orden muerte serie especie tesis foto moto libido broma goma paloma loma "
        "toma crema yema gema diadema flema quema",
        "veces mujeres noches tardes partes llaves flores madres calles clases leyes luces voces fuentes "
        "redes manos nubes torres bases fases frases imágenes órdenes muertes series especies fotos motos "
        "bromas gomas palomas lomas tomas cremas yemas gemas diademas flemas quemas",
    ),
    masculine=with_plurals(
        "día mapa poeta planeta cometa clima fantasma atleta colega pijama drama diploma agua águila área "
        "aula alma arma dálmata acróbata pirata patriota idiota belga croata persa azteca inca maya "
        "jesuita policía guardia guía espía",
        "días mapas poetas planetas cometas climas fantasmas atletas colegas pijamas dramas diplomas "
        "dálmatas acróbatas piratas patriotas idiotas belgas croatas persas aztecas incas mayas jesuitas "
        "policías guardias guías espías",
    ),
    feminine_articles=words("la las"),
    masculine_articles=words("los"),
    others=words(
        "a e y o u de del en es son con por para que se al el la lo los las no más menos sin entre hasta "
        "desde fue era está ya sobre como contra si ni pero mientras después antes tras cada ahora nunca "
        "ella ellas cuando solo apenas además atrás estas esas unas muchas"
    ),
    labels=words(
        "página capítulo número artículo grupo nivel línea tipo fase etapa sala versión parte lección paso "
        "puerta canal tema zona volumen tomo figura tabla punto"
    ),
)
