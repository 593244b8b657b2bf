"""The short forms of Portuguese, and the words for them: money, units, abbreviations."""

from __future__ import annotations

from plugins.latin.language import Nouns, Tables, currencies, larges, signs, table, units, with_plurals, words

TABLES = Tables(
    currencies=currencies(
        "R$ BRL real reais = rea(l|is), centavo(|s); $ US$ U$ USD = dólar(|es), centavo(|s); "
        "€ EUR euro euros = euro(|s), cêntimo(|s); £ GBP = f libra(|s), p(êni|ence); "
        "₦ NGN = f naira(|s), kobo(|s); ¥ JPY = iene(|s), sen(|s); "
        "CAD = dólar(|es) canadense(|s), centavo(|s); AUD = dólar(|es) australiano(|s), centavo(|s); "
        "CHF = franco(|s) suíço(|s), cêntimo(|s); CNY = yuan(|s), fen(|s); "
        "MXN = peso(|s) mexicano(|s), centavo(|s); ARS = peso(|s) argentino(|s), centavo(|s)"
    ),
    larges=larges(
        "mil k = n mil; milhão milhões mi = milh(ão|ões); bilhão bilhões bi = bilh(ão|ões); "
        "trilhão trilhões = trilh(ão|ões); mil_milhões = mil milhões"
    ),
    units=units(
        "% = por cento; km = quilômetro(|s); m = metro(|s); cm = centímetro(|s); mm = milímetro(|s); "
        "km/h = quilômetro(|s) por hora; m/s = metro(|s) por segundo; m² = metro(|s) quadrado(|s); "
        "km² = quilômetro(|s) quadrado(|s); m³ = metro(|s) cúbico(|s); ha = hectare(|s); "
        "t = f tonelada(|s); kg Kg = quilo(|s); g = grama(|s); mg = miligrama(|s); L l = litro(|s); "
        "h = f hora(|s); km/l km/L = quilômetro(|s) por litro; Mbps = megabit(|s) por segundo; "
        "col = f colher(|es); ml mL = mililitro(|s); °C ºC = grau(|s) Celsius; °F = grau(|s) Fahrenheit; "
        "° = grau(|s); kB KB = quilobyte(|s); MB = megabyte(|s); GB = gigabyte(|s); TB = terabyte(|s); "
        "Hz = hertz; kHz = quilohertz; MHz = megahertz; GHz = gigahertz; W = watt(|s); kW = quilowatt(|s); "
        "kWh = quilowatt(-hora|s-hora); V = volt(|s); dB = decib(el|éis); min = minuto(|s); "
        "s seg = segundo(|s); ms = milissegundo(|s); c._de_chá = f colher(|es) de chá; "
        "c._de_sopa = f colher(|es) de sopa; c._de_sobremesa = f colher(|es) de sobremesa; "
        "c._de_café = f colher(|es) de café"
    ),
    words=table(
        "24/7 = vinte e quatro por sete; EUA = Estados Unidos; & = e; ± = mais ou menos; CO2 = C O dois; "
        ".NET = ponto NET; C# = C sharp; IPv6 = I P V seis; c/ = com; p/ = para; s/ = sem; "
        "2ª-feira 2ª_feira 2a-feira 2a_feira = segunda-feira; "
        "3ª-feira 3ª_feira 3a-feira 3a_feira = terça-feira; "
        "4ª-feira 4ª_feira 4a-feira 4a_feira = quarta-feira; "
        "5ª-feira 5ª_feira 5a-feira 5a_feira = quinta-feira; "
        "6ª-feira 6ª_feira 6a-feira 6a_feira = sexta-feira"
    ),
    titles=table(
        "Dr = doutor; Drs = doutores; Dra = doutora; Sr = senhor; Srs = senhores; Sra = senhora; "
        "Sras = senhoras; Srta = senhorita; Prof = professor; Profa Profª = professora; Eng = engenheiro; "
        "Exmo = excelentíssimo; Exma = excelentíssima; Pe = padre; Sto = santo; Sta = santa; "
        "Av av = avenida; Al = alameda; Pça = praça; Rod = rodovia; p.ex P.ex por_ex = por exemplo; "
        "i.e I.e = isto é; Ed = edifício; bl Bl = bloco; vs = versus; aprox = aproximadamente; "
        "obs Obs = observação; cap Cap = capítulo; séc Séc = século"
    ),
    closings=table(
        "etc = etcétera; Ltda = limitada; Cia = companhia; Jr = júnior; a.C = antes de Cristo; "
        "a.a = ao ano; a.m = ao mês; d.C = depois de Cristo; depto = departamento; tel Tel = telefone"
    ),
    labels=table(
        "n. N. nº Nº n.º N.º n° N° no. núm. = número; p. pág. Pág. = página; § = parágrafo; "
        "págs. = páginas; cap. = capítulo; vol. = volume; art. Art. = artigo; arts. = artigos; "
        "Fig. fig. = figura; apto. Apto. ap. Ap. Apto = apartamento; sl. = sala; inc. = inciso; "
        "ref. Ref. = referência; cód. Cód. = código"
    ),
    signs=signs(
        "cerca de|aproximadamente|por|vezes|é igual a|é maior que|é menor que|dividido por|de|vezes|por|"
        "ao quadrado|ao cubo|arroba|ponto|barra|hífen|sublinhado|dois-pontos|interrogação|e|cerquilha|"
        "por cento|mais"
    ),
)

NOUNS = Nouns(
    feminine_endings=("a", "as", "ã", "ãs", "ção", "ções", "sões", "dade", "dades", "gem", "gens"),
    feminine=with_plurals(
        "vez mulher mãe noite tarde morte fonte parte rede chave flor cor dor luz voz cruz ponte semente "
        "gente classe frase base fase torre árvore nuvem ordem lei mão carne fome sede febre torre tese "
        "série espécie foto moto tribo libido gema algema ema goma soma poma",
        "vezes mulheres mães noites tardes mortes fontes partes redes chaves flores cores dores luzes "
        "vozes cruzes pontes sementes gentes classes frases bases fases torres árvores nuvens ordens leis "
        "mãos carnes teses séries espécies fotos motos tribos libidos gemas algemas emas gomas somas",
    ),
    masculine=with_plurals(
        "dia mapa planeta cometa drama diploma clima fantasma poeta atleta colega pijama personagem real "
        "euro quilo dálmata acrobata pirata patriota idiota belga croata persa asteca inca maia jesuíta "
        "guarda guia",
        "dias mapas planetas cometas dramas diplomas climas fantasmas poetas atletas colegas pijamas "
        "dálmatas acrobatas piratas patriotas idiotas belgas croatas persas astecas incas maias jesuítas "
        "guardas guias",
    ),
    feminine_articles=words("as às das nas à"),
    masculine_articles=words("os aos dos nos"),
    others=words(
        "a e o ou de do da dos das em no na nos nas para por com mas que é são foi às as os até sem entre "
        "contra à ao mais menos apenas se cada ainda agora era está fica atrás depois antes além já só "
        "pela pelas nunca fora ela elas como quando não"
    ),
    labels=words(
        "página capítulo número artigo grupo nível linha tipo fase etapa sala quarto versão parte item "
        "lição questão passo turma porta canal aula zona volume tomo figura tabela"
    ),
)
