"""The front: what people see at / before they sign in, and the name and colours of the operator's service.

`page` writes HTML of `front.html`, with all texts escaped by `markup`. `facts` has what is true here.
"""
