codec = dict(type='mmhmc.DCVCUFIntra')
