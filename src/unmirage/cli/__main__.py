from unmirage.cli import main

main()
