from mmhmc.codecs import MPA

codec = dict(type=MPA, tasks=['mse', 'cls', 'seg'])
