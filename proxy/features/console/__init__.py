"""The console: the page at /, for people who make speech and people who run the server.

`files` serves what is under `web/`: a small HTML document, and native ES modules without a build step. They
draw with lit-html, which lies unchanged under `web/vendor`.
"""
