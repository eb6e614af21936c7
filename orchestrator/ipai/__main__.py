from ipai.cli import main

main()
