'strict $ ? (@.type() == "object")'
