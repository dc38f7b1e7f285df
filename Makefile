# `make help` says what there is.
ENV := .venv/bin/python
STAGES ?=
CONFIG ?= configs/hmc/mask-rcnn_dynadapt_sample$(if $(filter all,$(STAGES)),_all).py
ARGS ?=
# As many processes as cores; what one has left another takes.
PARALLEL = -n auto --maxprocesses 8 --dist worksteal
RATE = $(if $(LMBDA),--lmbda $(LMBDA))

.PHONY: help setup demo train test lint setup-upstream test-upstream docs doctor clean
.DEFAULT_GOAL := help

help:
	@echo 'make setup    make .venv with everything in it; repeat it freely'
	@echo 'make demo     setup, then encode photographs and make a page of them'
	@echo '              (ARGS="photo.jpg folder" for your own)'
	@echo 'make train    setup, then train $(CONFIG)'
	@echo '              (goes on where it was stopped) and compare'
	@echo 'make train STAGES=all'
	@echo '              the same from nothing: detector and codec, too'
	@echo 'make test     setup, then run the tests'
	@echo 'make lint     setup, then check style: flake8, isort'
	@echo 'make test-upstream'
	@echo '              the same with the open-mmlab packages of upstream,'
	@echo '              in .venv-upstream'
	@echo 'make docs     setup, then build the pages of docs/ into site/'
	@echo 'make doctor   say what is installed, what is missing and its cure'
	@echo 'make clean    remove what builds and tests leave; environments stay'
	@echo
	@echo 'ARGS="..."    arguments for demo, train.py, pytest or doctor'
	@echo 'CONFIG=FILE   another config to train'
	@echo 'LMBDA=...     another rate, e.g. 0.0018'
	@echo 'PYTHON=...    interpreter for a new .venv: 3.10 to 3.13 (python3.11);'
	@echo '              upstream: 3.10 or 3.11 (python3.10)'
	@echo 'WHEELS=DIR    folder of mmcv wheels (../shared/wheels);'
	@echo '              a folder that does not exist: build from source'

setup:
	@tools/setup_env.sh

demo: setup
	.venv/bin/mmhmc demo $(ARGS)

train: setup
	$(ENV) tools/train.py $(CONFIG) --resume $(RATE) $(ARGS)
	$(ENV) tools/analysis_tools/compare_adaptation.py $(CONFIG) $(RATE)

test: setup
	$(ENV) -m pytest $(PARALLEL) $(ARGS)

lint: setup
	$(ENV) -m flake8 .
	$(ENV) -m isort --check-only --quiet configs dev mmhmc projects setup.py tests tools

setup-upstream:
	@tools/setup_env.sh upstream

test-upstream: setup-upstream
	.venv-upstream/bin/python -m pytest $(PARALLEL) $(ARGS)

docs: setup
	NO_MKDOCS_2_WARNING=1 $(ENV) -m mkdocs build --strict $(ARGS)

# By its file: it has to run where nothing else does.
doctor:
	@python=$(ENV); [ -x "$$python" ] || python=$${PYTHON:-python3}; \
	"$$python" mmhmc/apis/doctor.py $(ARGS)

# Without its egg-info an editable install is not found: setup repeats it.
clean:
	rm -rf build dist site *.egg-info .pytest_cache mmhmc/.mim
	rm -f .venv/.setup/mmhmc .venv-upstream/.setup/mmhmc
	rm -f mmhmc/bitstream/_rans*.so
	find mmhmc dev tools tests configs -name __pycache__ -prune -exec rm -r {} +
